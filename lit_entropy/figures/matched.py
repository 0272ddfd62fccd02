"""Held-out accuracy of methods at one number of generated tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from lit_entropy.figures.estimates import Estimate, Paired, over_seeds
from lit_entropy.figures.outcomes import ACCURACY, LENGTH, gain
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import GREY, curve, method_colour


@dataclass(frozen=True)
class Matched:
    """Accuracy after the same number of generated tokens."""

    tokens: float  # the fewest of any run
    accuracy: dict[str, Estimate]  # by label, interpolated between validations
    accuracy_gain: dict[str, Paired | None]  # by label, over the baseline, paired by seed


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


def matched_compute(groups: Mapping[str, Sequence[Run]], base: str) -> Matched:
    """Held-out accuracy of each label at one number of generated tokens.

    Raises:
        ValueError: a run does not count its tokens.
    """
    spent = {run.name: generated_tokens(run) for group in groups.values() for run in group}
    budget = min(float(tokens_N[-1]) for tokens_N, _ in spent.values())

    def value(run: Run) -> float:
        return float(np.interp(budget, *spent[run.name]))

    return Matched(
        budget,
        {label: over_seeds(group, value) for label, group in groups.items()},
        {label: gain(group, groups[base], value) for label, group in groups.items()},
    )


def plot_matched(
    axes: Axes, groups: Mapping[str, Sequence[Run]], matched: Matched | None, missing: str | None
) -> None:
    """Accuracy against generated tokens, a line at the budget; or what is ``missing`` for it."""
    if matched is None:
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, f"matched compute not shown:\n{missing}", wrap=True,
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
    axes.axvline(matched.tokens / 1e6, color=GREY, linewidth=0.8, linestyle="--")
    axes.set(
        xlabel="generated tokens ($10^6$)", ylabel="held-out accuracy (greedy)", xlim=(0, None)
    )
