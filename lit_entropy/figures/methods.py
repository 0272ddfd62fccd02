"""Fig. 11 (arXiv 2505.22617): entropy, response length and accuracy of the four methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import (
    first,
    labelled,
    middle,
    over_seeds,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.outcomes import (
    ACCURACY,
    ENTROPY,
    LENGTH,
    accuracy_plateau,
    entropy_plateau,
    gain,
    generated_tokens,
    length_plateau,
    matched_compute,
)
from lit_entropy.figures.panels import frame_lines
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    method_colour,
    paper_style,
    seed_lines,
)

METHODS = ("GRPO", "clip-higher", "Clip-Cov", "KL-Cov")

#: Panels against the RL step: key, label of the y axis.
PANELS = (
    (ENTROPY, "entropy, token mean (nats)"),
    (LENGTH, "response length (tokens)"),
    (ACCURACY, "held-out accuracy (greedy)"),
)


def measure_11(runs: Sequence[Run]) -> dict[str, Any]:
    """The numbers of Fig. 11, one dict a method under ``methods``.

    Estimates over seeds: ``entropy_first`` and ``entropy_plateau`` (nats; first rollout, mean of
    the last fifth), ``length_first`` and ``length_plateau`` (tokens), ``accuracy`` (mean of the
    validations in the last fifth), ``late_change`` (that minus the accuracy around the middle of
    the run). ``entropy_ratio``: mean plateau as a multiple of GRPO's. ``entropy_gain``,
    ``length_gain`` and ``accuracy_gain``: differences to GRPO, paired by seed.

    ``matched`` and ``matched_missing``: see :func:`~lit_entropy.figures.outcomes.matched_compute`.

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
    return {"methods": methods, **matched_compute(groups, "GRPO")}


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
        for axes, bottom in zip(panels, (0.0, 0.0, None), strict=False):
            frame_lines(axes, bottom=bottom)
        _plot_matched(panels[3], groups, numbers)
        note = f"running mean of {smoothing_window(groups['GRPO'][0])} RL steps"
        titles = (note, note, "every validation", "dashed: the fewest tokens of any run")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, loc="left", fontsize=7)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _plot_matched(
    axes: Axes, groups: Mapping[str, Sequence[Run]], numbers: Mapping[str, Any]
) -> None:
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
