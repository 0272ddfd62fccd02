"""Held-out accuracy of methods at one number of generated tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from lit_entropy.figures.estimates import Estimate, Paired, over_seeds
from lit_entropy.figures.outcomes import ACCURACY, LENGTH, gain
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import curve, draw_seeds, seeds_note
from lit_entropy.figures.style import GREY, Look


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
            f"run {run.name!r} has no facts['group_size']: the samples per prompt of its config"
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
    runs = [run for group in groups.values() for run in group]
    budget = min(float(generated_tokens(run)[0][-1]) for run in runs)

    def value(run: Run) -> float:
        return float(np.interp(budget, *generated_tokens(run)))

    return Matched(
        budget,
        {label: over_seeds(group, value) for label, group in groups.items()},
        {label: gain(group, groups[base], value) for label, group in groups.items()},
    )


def plot_matched(
    axes: Axes,
    groups: Mapping[str, Sequence[Run]],
    look: Mapping[str, Look],
    matched: Matched | None,
    missing: str | None,
) -> None:
    """Accuracy against generated tokens, a line at the budget; or what is ``missing`` for it."""
    if matched is None:
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, f"matched compute not shown:\n{missing}", wrap=True,
            ha="center", va="center", transform=axes.transAxes, fontsize=6,
        )  # fmt: skip
        return
    unit, name = (1e6, "$10^6$") if matched.tokens >= 1e5 else (1e3, "$10^3$")
    for label, group in groups.items():
        colour = look[label].colour
        curves = [generated_tokens(run) for run in group]
        draw_seeds(axes, [(tokens_N / unit, accuracy_N) for tokens_N, accuracy_N in curves], colour)
        shortest = min(len(tokens_N) for tokens_N, _ in curves)
        tokens_N, accuracy_N = np.mean([np.stack(c)[:, :shortest] for c in curves], axis=0)
        note = seeds_note(len(group))
        axes.plot(tokens_N / unit, accuracy_N, color=colour, label=f"{label}{note}")
    axes.axvline(
        matched.tokens / unit, color=GREY, linewidth=0.8, linestyle="--",
        label="fewest tokens of any run",
    )  # fmt: skip
    axes.set(
        xlabel=f"generated tokens ({name})", ylabel="held-out accuracy (greedy)", xlim=(0, None)
    )
    axes.legend(*(each[-1:] for each in axes.get_legend_handles_labels()), loc="lower right")
