"""Fig. 8 (arXiv 2505.22617): the fall of entropy beside the covariance that drives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.covariances import (
    BINS,
    FALL,
    KEYS,
    Level,
    bin_means,
    correlation,
    first_fifth,
    prepared,
    slope_window,
)
from lit_entropy.figures.estimates import (
    by_seed,
    estimate,
    labelled,
    over_seeds,
    paired,
    plateau,
    smoothing_window,
)
from lit_entropy.figures.matching import figure_dynamics, measure_dynamics
from lit_entropy.figures.panels import align_zeros, frame_lines, legend_above
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    BLUE,
    FULL_WIDTH,
    RED,
    curve,
    paper_style,
    seed_lines,
    seed_mean,
    sequential_colours,
)

__all__ = ["figure_8", "figure_dynamics", "measure_8", "measure_dynamics"]

LABEL = "policy gradient"


def measure_8(runs: Sequence[Run], level: Level = "response") -> dict[str, Any]:
    """The numbers of Fig. 8, of the runs labelled "policy gradient".

    Args:
        runs: histories with ``entropy/token_mean`` and, by level, ``dynamics/bandit_covariance``
            and its bins, or ``cov/mean`` and ``cov/by_accuracy/``.
        level: covariance of whole responses within a group (eq. 8, 9), or of tokens (eq. 10).

    Returns:
        ``mean_window``, ``slope_window`` (RL steps of smoothing), ``seeds``; the smoothed means
        ``minus_delta`` (nats an RL step) at ``step`` and ``covariance`` at ``covariance_step``;
        estimates over seeds: ``correlation`` of the two smoothed curves (None if one is constant),
        ``positive_share`` of RL steps with a positive raw covariance, ``covariance_first``,
        ``covariance_last``, ``minus_delta_first``, ``minus_delta_last`` (first and last fifth),
        ``by_accuracy`` (bin: mean covariance over the RL steps that have all bins);
        ``high_minus_low`` (paired), ``ordered`` (share of seeds with low < middle < high).

    Raises:
        ValueError: no such run, a missing key, or too few RL steps.
    """
    group, smooth = prepared(labelled(runs, LABEL)[LABEL], level)
    key, prefix = KEYS[level]
    fall, covariance = seed_mean(group, FALL), seed_mean(smooth, key)
    bins = [bin_means(run, prefix) for run in group]
    correlations = [c for run in smooth if (c := correlation(run, key)) is not None]
    ordered = [means["low"] < means["middle"] < means["high"] for means in bins]
    return {
        "mean_window": smoothing_window(group[0]),
        "slope_window": slope_window(group[0]),
        "seeds": [run.seed for run in group],
        "step": fall.step_N.tolist(),
        "minus_delta": fall.mean_N.tolist(),
        "covariance_step": covariance.step_N.tolist(),
        "covariance": covariance.mean_N.tolist(),
        "correlation": estimate(correlations) if len(correlations) == len(smooth) else None,
        "positive_share": over_seeds(group, lambda run: float((curve(run, key)[1] > 0).mean())),
        "covariance_first": over_seeds(group, lambda run: first_fifth(run, key)),
        "covariance_last": over_seeds(group, lambda run: plateau(run, key)),
        "minus_delta_first": over_seeds(group, lambda run: first_fifth(run, FALL)),
        "minus_delta_last": over_seeds(group, lambda run: plateau(run, FALL)),
        "by_accuracy": {name: estimate([means[name] for means in bins]) for name in BINS},
        "high_minus_low": paired(
            by_seed(group, lambda run: bin_means(run, prefix)["high"]),
            by_seed(group, lambda run: bin_means(run, prefix)["low"]),
        ),
        "ordered": float(np.mean(ordered)),
    }


def figure_8(runs: Sequence[Run], level: Level = "response") -> Figure:
    """Left: the fall of entropy and the covariance. Right: the covariance by group accuracy.

    The curves are smoothed as :func:`measure_8` says; it has the arguments and errors too.
    """
    group, smooth = prepared(labelled(runs, LABEL)[LABEL], level)
    key, prefix = KEYS[level]
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _plot_pair(left, group, smooth, key)
        colours = sequential_colours(len(BINS))
        for (name, interval), colour in zip(BINS.items(), colours, strict=True):
            seed_lines(right, smooth, prefix + name, colour, interval)
        frame_lines(right)
        right.axhline(0.0, color="black", linewidth=0.6)
        window = smoothing_window(group[0])
        right.set(xlabel=f"RL step (mean over {window})", ylabel=f"covariance, {level}s (nats)")
        handles, names = right.get_legend_handles_labels()
        legend_above(right, handles, names, "accuracy of the group", len(BINS))
    return figure


def _plot_pair(axes: Axes, group: Sequence[Run], smooth: Sequence[Run], key: str) -> None:
    """Two y axes with one zero: the claim is about the shapes, the scales differ by the step."""
    other = axes.twinx()
    seed_lines(axes, group, FALL, BLUE, r"$-\Delta H$")
    seed_lines(other, smooth, key, RED, "covariance")
    windows = f"slope over {slope_window(group[0])}, mean over {smoothing_window(group[0])}"
    axes.set(xlabel=f"RL step ({windows})", ylabel=r"$-\Delta H$ ($10^{-3}$ nats an RL step)")
    axes.yaxis.set_major_formatter(
        lambda value, position: f"{1e3 * value:.3g}".replace("-", "\N{MINUS SIGN}")
    )
    other.set(ylabel="covariance (nats)")
    for panel, colour in ((axes, BLUE), (other, RED)):
        frame_lines(panel)
        panel.yaxis.label.set_color(colour)
        panel.tick_params(axis="y", colors=colour)
    align_zeros(axes, other)
    other.grid(False)
    other.spines["right"].set_visible(True)
    axes.axhline(0.0, color="black", linewidth=0.6)
    handles, names = axes.get_legend_handles_labels()
    more_handles, more_names = other.get_legend_handles_labels()
    legend_above(axes, handles + more_handles, names + more_names, LABEL, 2)
