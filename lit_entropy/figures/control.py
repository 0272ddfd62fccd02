"""Fig. 9 and 10 (arXiv 2505.22617): an entropy bonus and a reference KL, by coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import (
    error_bar,
    labelled,
    over_seeds,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.outcomes import (
    ACCURACY,
    ENTROPY,
    accuracy_plateau,
    entropy_plateau,
    gain,
)
from lit_entropy.figures.panels import frame_lines, plain_log_ticks
from lit_entropy.figures.runs import Run
from lit_entropy.figures.steering import figure_12, measure_12
from lit_entropy.figures.style import (
    BLACK,
    FULL_WIDTH,
    paper_style,
    seed_lines,
    sequential_colours,
)

__all__ = ["figure_9", "figure_10", "figure_12", "measure_9", "measure_10", "measure_12"]

BASELINE = "GRPO"


def sweep(runs: Sequence[Run], label: str) -> dict[float, list[Run]]:
    """The runs of a label by coefficient, ascending; coefficient 0 is GRPO.

    Where no run of ``label`` has ``x = 0``, those labelled "GRPO" are taken for it.

    Raises:
        ValueError: no run of the label, one without ``x``, or none for coefficient 0.
    """
    group = labelled(runs, label)[label]
    if unknown := [run.name for run in group if run.x is None]:
        raise ValueError(f"runs {unknown} (label {label!r}) have no x: give the coefficient")
    by_coefficient: dict[float, list[Run]] = {}
    if all(run.x != 0 for run in group):
        by_coefficient[0.0] = labelled(runs, BASELINE)[BASELINE]
    for run in sorted(group, key=lambda run: run.x or 0.0):
        by_coefficient.setdefault(float(run.x or 0.0), []).append(run)
    return by_coefficient


def measure_sweep(runs: Sequence[Run], label: str) -> dict[str, Any]:
    """Level of entropy and accuracy for every coefficient of a regularizer.

    Returns:
        ``label``, and lists over ``coefficients``: ``seeds``; estimates ``entropy`` (nats) and
        ``accuracy`` (fraction), means of the last fifth; ``entropy_gain`` and ``accuracy_gain``,
        their differences to coefficient 0, paired by seed (None without a common seed);
        ``entropy_ratio``, mean entropy as a multiple of that at coefficient 0.

    Raises:
        ValueError: as :func:`sweep`, or a run lacks ``entropy/token_mean`` or ``val/accuracy``.
    """
    groups = sweep(runs, label)
    entropy = [over_seeds(group, entropy_plateau) for group in groups.values()]
    return {
        "label": label,
        "coefficients": list(groups),
        "seeds": [[run.seed for run in group] for group in groups.values()],
        "entropy": entropy,
        "accuracy": [over_seeds(group, accuracy_plateau) for group in groups.values()],
        "entropy_gain": [gain(group, groups[0.0], entropy_plateau) for group in groups.values()],
        "accuracy_gain": [gain(group, groups[0.0], accuracy_plateau) for group in groups.values()],
        "entropy_ratio": [level["mean"] / entropy[0]["mean"] for level in entropy],
    }


def measure_9(runs: Sequence[Run]) -> dict[str, Any]:
    """:func:`measure_sweep` of the runs labelled "entropy bonus"."""
    return measure_sweep(runs, "entropy bonus")


def measure_10(runs: Sequence[Run]) -> dict[str, Any]:
    """:func:`measure_sweep` of the runs labelled "reference KL"."""
    return measure_sweep(runs, "reference KL")


def figure_9(runs: Sequence[Run]) -> Figure:
    """Entropy bonus: entropy and accuracy by coefficient; raises as :func:`measure_sweep`."""
    return _figure(runs, "entropy bonus", r"$\alpha$")


def figure_10(runs: Sequence[Run]) -> Figure:
    """Reference KL: entropy and accuracy by coefficient; raises as :func:`measure_sweep`."""
    return _figure(runs, "reference KL", r"$\beta$")


def _figure(runs: Sequence[Run], label: str, symbol: str) -> Figure:
    numbers, groups = measure_sweep(runs, label), sweep(runs, label)
    colours = [BLACK, *sequential_colours(len(groups))[1:]]  # the darkest is too near to black
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        for (coefficient, group), colour in zip(groups.items(), colours, strict=True):
            name = f"{symbol} = {coefficient:g}"
            seed_lines(left, [smoothed(run, ENTROPY) for run in group], ENTROPY, colour, name)
            seed_lines(middle, group, ACCURACY, colour, name)
        # an entropy that explodes and one that collapses, both legible
        window = smoothing_window(groups[0.0][0])
        left.set(xlabel=f"RL step (mean over {window})", ylabel="entropy, token mean (nats)")
        left.set_yscale("log")
        frame_lines(left)
        plain_log_ticks(left.yaxis)
        frame_lines(middle)
        middle.set(xlabel="RL step", ylabel="held-out accuracy (greedy)")
        _plot_outcome(right, numbers, colours)
        figure.legend(
            *left.get_legend_handles_labels(), title=label, title_fontsize=7,
            loc="outside upper center", ncols=len(groups), columnspacing=1.2, handlelength=1.6,
        )  # fmt: skip
    return figure


def _plot_outcome(axes: Axes, numbers: dict[str, Any], colours: Sequence[str]) -> None:
    """Accuracy against entropy, both of the last fifth, one point a coefficient."""
    for entropy, accuracy, colour in zip(
        numbers["entropy"], numbers["accuracy"], colours, strict=True
    ):
        axes.errorbar(
            entropy["mean"], accuracy["mean"], xerr=error_bar([entropy]),
            yerr=error_bar([accuracy]), color=colour, marker="o", markersize=4, elinewidth=0.8,
        )  # fmt: skip
    axes.set(xlabel="entropy, last fifth (nats)", ylabel="accuracy, last fifth", xscale="log")
    plain_log_ticks(axes.xaxis)
