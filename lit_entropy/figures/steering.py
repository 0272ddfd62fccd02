"""Fig. 12 (arXiv 2505.22617): Clip-Cov's fraction and KL-Cov's coefficient set the entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from lit_entropy.figures.estimates import (
    Estimate,
    error_bar,
    estimate,
    labelled,
    over_seeds,
    plateau_values,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.outcomes import ENTROPY, accuracy_plateau, entropy_plateau
from lit_entropy.figures.panels import frame_lines, legend_above, plain_log_ticks
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    method_colour,
    method_marker,
    paper_style,
    seed_lines,
    sequential_colours,
)

#: The knob of each method: symbol in the legend, label of the axis.
KNOBS = {
    "Clip-Cov": (r"$\times$", "fraction, multiples of the smallest"),
    "KL-Cov": (r"$\beta$ =", r"coefficient $\beta$"),
}


def by_knob(runs: Sequence[Run], label: str) -> dict[float, list[Run]]:
    """The runs of a method by its knob, ascending.

    Clip-Cov's fractions become multiples of the smallest, so that ``x`` may be either; KL-Cov's
    ``x`` is beta.

    Raises:
        ValueError: no run of the label, one without ``x``, a Clip-Cov fraction that is not
            positive, or fewer than two values of the knob.
    """
    group = labelled(runs, label)[label]
    if unknown := [run.name for run in group if run.x is None]:
        raise ValueError(f"runs {unknown} (label {label!r}) have no x: give the knob's value")
    unit = min(run.x or 0.0 for run in group) if label == "Clip-Cov" else 1.0
    if unit <= 0:
        raise ValueError(f"a run labelled {label!r} has x = {unit}: its fraction must be positive")
    groups: dict[float, list[Run]] = {}
    for run in sorted(group, key=lambda run: run.x or 0.0):
        groups.setdefault(round((run.x or 0.0) / unit, 6), []).append(run)
    if len(groups) < 2:
        raise ValueError(f"all runs labelled {label!r} have x = {group[0].x}: add other values")
    return groups


def measure_12(runs: Sequence[Run]) -> dict[str, Any]:
    """How the level of entropy follows the knob of Clip-Cov and of KL-Cov.

    Returns:
        By method: lists over ``knob`` (multiple of the smallest fraction, or beta): ``seeds``,
        estimates ``entropy`` (nats) and ``accuracy`` (fraction), means of the last fifth, and
        ``unsteadiness``, the standard deviation of the entropy about its straight line in the last
        fifth, divided by its mean (None below three RL steps); ``rank_correlation`` of knob and
        entropy over all runs (Spearman; None if all are equal).

    Raises:
        ValueError: as :func:`by_knob`, or a run lacks ``entropy/token_mean`` or ``val/accuracy``.
    """
    return {label: _measure(by_knob(runs, label)) for label in KNOBS}


def _measure(groups: dict[float, list[Run]]) -> dict[str, Any]:
    entropy = [over_seeds(group, entropy_plateau) for group in groups.values()]
    knob_R = [knob for knob, group in groups.items() for _ in group]
    level_R = [value for level in entropy for value in level["values"]]
    spread = len(set(level_R)) > 1
    return {
        "knob": list(groups),
        "seeds": [[run.seed for run in group] for group in groups.values()],
        "entropy": entropy,
        "accuracy": [over_seeds(group, accuracy_plateau) for group in groups.values()],
        "unsteadiness": [_unsteadiness(group) for group in groups.values()],
        "rank_correlation": float(stats.spearmanr(knob_R, level_R)[0]) if spread else None,
    }


def _unsteadiness(group: Sequence[Run]) -> Estimate | None:
    values = [unsteadiness(run) for run in group]
    return estimate(values) if np.isfinite(values).all() else None


def unsteadiness(run: Run) -> float:
    """Deviation of the last fifth's entropy from its own straight line, relative to its mean.

    NaN below three RL steps: two always lie on a line.
    """
    value_N = plateau_values(run, ENTROPY)
    if len(value_N) < 3:
        return float("nan")
    row_N = np.arange(len(value_N))
    residual_N = value_N - np.polyval(np.polyfit(row_N, value_N, 1), row_N)
    return float(residual_N.std() / value_N.mean())


def figure_12(runs: Sequence[Run]) -> Figure:
    """Entropy against the RL step for each value of the knob, and its last fifth against the knob.

    Raises:
        ValueError: as :func:`measure_12`.
    """
    numbers = measure_12(runs)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 4.6), layout="constrained")
        curves, levels = figure.subplots(2, 2, sharey="row", height_ratios=(1.25, 1))
        for label, above, below in zip(KNOBS, curves, levels, strict=True):
            _plot_curves(above, by_knob(runs, label), label)
            _plot_levels(below, numbers[label], label)
        curves[0].set(ylabel="entropy, token mean (nats)", yscale="log")
        frame_lines(*curves)
        plain_log_ticks(curves[0].yaxis)
        levels[0].set(ylabel="entropy, last fifth (nats)", yscale="log")
        plain_log_ticks(levels[0].yaxis)
    return figure


def _plot_curves(axes: Axes, groups: dict[float, list[Run]], label: str) -> None:
    symbol, _ = KNOBS[label]
    for (knob, group), colour in zip(groups.items(), sequential_colours(len(groups)), strict=True):
        shown = [smoothed(run, ENTROPY) for run in group]
        seed_lines(axes, shown, ENTROPY, colour, f"{symbol} {knob:g}")
    window = smoothing_window(next(iter(groups.values()))[0])
    axes.set(xlabel=f"RL step (mean over {window})")
    legend_above(axes, *axes.get_legend_handles_labels(), label, 3)


def _plot_levels(axes: Axes, numbers: dict[str, Any], label: str) -> None:
    knob, levels = numbers["knob"], numbers["entropy"]
    for at, level in zip(knob, levels, strict=True):
        values = level["values"]
        axes.plot([at] * len(values), values, "_", color=GREY, markersize=5, zorder=1)
    axes.errorbar(
        knob, [level["mean"] for level in levels], yerr=error_bar(levels), elinewidth=0.8,
        capsize=2, color=method_colour(label), marker=method_marker(label), markersize=4,
    )  # fmt: skip
    smallest = min(value for value in knob if value > 0)
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    axes.set_xticks(knob, [f"{value:g}" for value in knob])
    axes.minorticks_off()
    axes.set(xlabel=KNOBS[label][1])
    correlation = numbers["rank_correlation"]
    if correlation is not None:
        axes.set_title(f"rank correlation {correlation:+.2f}", loc="left", fontsize=7)
