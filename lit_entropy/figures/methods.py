"""Fig. 11 (arXiv 2505.22617): entropy, response length and accuracy of the four methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import (
    Estimate,
    by_seed,
    first,
    labelled,
    middle,
    over_seeds,
    paired,
    plateau,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    curve,
    method_colour,
    paper_style,
    seed_lines,
)

METHODS = ("GRPO", "clip-higher", "Clip-Cov", "KL-Cov")
ENTROPY, LENGTH, ACCURACY = "entropy/token_mean", "rollout/length", "val/accuracy"

#: Panels against the RL step: key, label of the y axis.
PANELS = (
    (ENTROPY, "entropy, token mean (nats)"),
    (LENGTH, "response length (tokens)"),
    (ACCURACY, "held-out accuracy (greedy)"),
)


def generated_tokens(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Held-out accuracy against the tokens that were generated for it.

    Returns:
        At each validation, the response tokens of all rollouts so far (length x groups x samples a
        group), and the accuracy.

    Raises:
        ValueError: the run lacks a key, or the fact ``group_size``.
    """
    if "group_size" not in run.facts:
        raise ValueError(
            f"run {run.name!r} has no facts['group_size']: the samples a prompt of its config"
        )
    (step_N, length_N), (group_step_N, groups_N) = curve(run, LENGTH), curve(run, "rollout/groups")
    if not np.array_equal(step_N, group_step_N):
        raise ValueError(f"run {run.name!r}: '{LENGTH}' and 'rollout/groups' differ in their steps")
    total_N = np.cumsum(length_N * groups_N) * float(run.facts["group_size"])
    validated_N, accuracy_N = curve(run, ACCURACY)
    rows_N = np.searchsorted(step_N, validated_N, side="right")  # rollouts before a validation
    return np.concatenate([[0.0], total_N])[rows_N], accuracy_N


def measure_11(runs: Sequence[Run]) -> dict[str, Any]:
    """The numbers of Fig. 11, one dict a method under ``methods``.

    Estimates over seeds: ``entropy_first`` and ``entropy_plateau`` (nats; first rollout, mean of
    the last fifth), ``length_first`` and ``length_plateau`` (tokens), ``accuracy`` (mean of the
    validations in the last fifth), ``late_change`` (that minus the accuracy around the middle of
    the run). ``entropy_ratio``: mean plateau as a multiple of GRPO's. ``entropy_gain``,
    ``length_gain`` and ``accuracy_gain``: differences to GRPO, paired by seed.

    ``matched`` compares at equal compute: accuracy after ``tokens`` generated tokens, the fewest of
    any run, interpolated between validations; None, with ``matched_missing`` saying why, if a run
    does not count its tokens.

    Raises:
        ValueError: a method has no run, or a run lacks a key.
    """
    groups = labelled(runs, *METHODS)
    base = groups["GRPO"]
    methods: dict[str, dict[str, Any]] = {}
    for label, group in groups.items():
        methods[label] = {
            "seeds": [run.seed for run in group],
            "entropy_first": over_seeds(group, lambda run: first(run, ENTROPY)),
            "entropy_plateau": over_seeds(group, entropy_plateau),
            "entropy_gain": gain(group, base, entropy_plateau),
            "length_first": over_seeds(group, lambda run: first(run, LENGTH)),
            "length_plateau": over_seeds(group, length_plateau),
            "length_gain": gain(group, base, length_plateau),
            "accuracy": over_seeds(group, accuracy_plateau),
            "accuracy_gain": gain(group, base, accuracy_plateau),
            "late_change": over_seeds(
                group, lambda run: accuracy_plateau(run) - middle(run, ACCURACY)
            ),
        }
    for numbers in methods.values():
        level = methods["GRPO"]["entropy_plateau"]["mean"]
        numbers["entropy_ratio"] = numbers["entropy_plateau"]["mean"] / level
    return {"methods": methods, **_matched(groups)}


def entropy_plateau(run: Run) -> float:
    """Mean token entropy of the last fifth, nats."""
    return plateau(run, ENTROPY)


def length_plateau(run: Run) -> float:
    """Mean response length of the last fifth, tokens."""
    return plateau(run, LENGTH)


def accuracy_plateau(run: Run) -> float:
    """Mean held-out accuracy of the validations in the last fifth."""
    return plateau(run, ACCURACY)


def gain(
    group: Sequence[Run], base: Sequence[Run], value: Callable[[Run], float]
) -> Estimate | None:
    """``value`` of ``group`` minus that of ``base``, paired by seed."""
    return paired(by_seed(group, value), by_seed(base, value))


def _matched(groups: dict[str, list[Run]]) -> dict[str, Any]:
    try:
        spent = {run.name: generated_tokens(run) for group in groups.values() for run in group}
    except ValueError as error:
        return {"matched": None, "matched_missing": str(error)}
    budget = min(float(tokens_N[-1]) for tokens_N, _ in spent.values())

    def value(run: Run) -> float:
        return float(np.interp(budget, *spent[run.name]))

    return {
        "matched": {
            "tokens": budget,
            "accuracy": {label: over_seeds(group, value) for label, group in groups.items()},
            "accuracy_gain": {
                label: gain(group, groups["GRPO"], value) for label, group in groups.items()
            },
        },
        "matched_missing": None,
    }


def figure_11(runs: Sequence[Run]) -> Figure:
    """Entropy, response length and held-out accuracy against the RL step, and matched compute.

    Seeds thin, their mean thick, its 95 % t interval a band; entropy and length are running means.
    The last panel has the accuracy
    against generated tokens, with a line at the budget that every run reached, or says what is
    missing for it.

    Raises:
        ValueError: a method has no run, or a run lacks a key.
    """
    numbers = measure_11(runs)
    groups = labelled(runs, *METHODS)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 4.4), layout="constrained")
        panels = figure.subplots(2, 2).flat
        for axes, (key, name) in zip(panels, PANELS, strict=False):
            for label, group in groups.items():
                shown = group if key == ACCURACY else [smoothed(run, key) for run in group]
                seed_lines(axes, shown, key, method_colour(label), label)
            axes.set(xlabel="RL step", ylabel=name)
        panels = figure.axes
        panels[0].set_ylim(bottom=0)
        panels[1].set_ylim(bottom=0)
        _plot_matched(panels[3], groups, numbers)
        note = f"running mean of {smoothing_window(groups['GRPO'][0])} RL steps"
        titles = (note, note, "every validation", "dashed: the fewest tokens of any run")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, loc="left", fontsize=7)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _plot_matched(axes: Axes, groups: dict[str, list[Run]], numbers: dict[str, Any]) -> None:
    if numbers["matched"] is None:
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, f"matched compute not shown:\n{numbers['matched_missing']}", wrap=True,
            ha="center", va="center", transform=axes.transAxes, fontsize=6,
        )  # fmt: skip
        return
    for label, group in groups.items():
        colour = method_colour(label)
        curves = [generated_tokens(run) for run in group]
        for tokens_N, accuracy_N in curves if len(curves) > 1 else []:
            axes.plot(tokens_N / 1e6, accuracy_N, color=colour, linewidth=0.5, alpha=0.5)
        shortest = min(len(tokens_N) for tokens_N, _ in curves)
        tokens_N, accuracy_N = np.mean([np.stack(c)[:, :shortest] for c in curves], axis=0)
        axes.plot(tokens_N / 1e6, accuracy_N, color=colour)
    axes.axvline(numbers["matched"]["tokens"] / 1e6, color=GREY, linewidth=0.8, linestyle="--")
    axes.set(xlabel="generated tokens ($10^6$)", ylabel=PANELS[2][1], xlim=(0, None))
