"""Fig. 8 (arXiv 2505.22617): the fall of entropy beside the covariance that drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.signal import savgol_filter

from lit_entropy.figures.estimates import (
    by_seed,
    estimate,
    labelled,
    over_seeds,
    paired,
    plateau,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.matching import figure_dynamics, measure_dynamics
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

ENTROPY, FALL = "entropy/token_mean", "minus_delta"
LABEL = "policy gradient"
Level = Literal["response", "token"]

#: Key of the covariance, and what the key of a bin of group accuracy begins with.
KEYS: dict[Level, tuple[str, str]] = {
    "response": ("dynamics/bandit_covariance", "dynamics/bandit_covariance/"),
    "token": ("cov/mean", "cov/by_accuracy/"),
}
#: Bins of group accuracy and how they are named in the figure.
BINS = {"low": r"$\leq$ 1/3", "middle": r"$\leq$ 2/3", "high": "< 1"}


def slope_window(run: Run) -> int:
    """RL steps of a slope: a slope is noisier than a mean and takes twice the window, plus one."""
    return 2 * smoothing_window(run) + 1


def with_fall(run: Run) -> Run:
    """The run with ``minus_delta``, the fall of entropy in nats an RL step.

    It is minus the slope of the parabola fitted to ``entropy/token_mean`` in a window of
    :func:`slope_window` RL steps around each (Savitzky-Golay of order 2, which in the middle of a
    window has the slope of the straight line; the outermost parabolas serve the ends).

    Raises:
        ValueError: no entropy, an RL step without one, or fewer steps than the window.
    """
    step_N, entropy_N = curve(run, ENTROPY)
    window = slope_window(run)
    if len(step_N) < window or not (np.diff(step_N) == 1).all():
        raise ValueError(
            f"run {run.name!r} needs '{ENTROPY}' at {window} RL steps or more, without a gap; it "
            f"has {len(step_N)} of {step_N[0]:g} to {step_N[-1]:g}: log it at every RL step"
        )
    fall_N = np.full(len(run.history["step"]), np.nan)
    fall_N[np.isfinite(run.history[ENTROPY])] = -savgol_filter(entropy_N, window, 2, deriv=1)
    return replace(run, history={**run.history, FALL: fall_N})


def prepared(runs: Sequence[Run], level: Level) -> tuple[list[Run], list[Run]]:
    """The policy-gradient runs with ``minus_delta``, and the same with smoothed covariances."""
    group = [with_fall(run) for run in labelled(runs, LABEL)[LABEL]]
    key, prefix = KEYS[level]
    keys = (key, *(prefix + name for name in BINS))
    return group, [smoothed(run, *keys) for run in group]


def measure_8(runs: Sequence[Run], level: Level = "response") -> dict[str, Any]:
    """The numbers of Fig. 8, of the runs labelled "policy gradient".

    Args:
        runs: histories with ``entropy/token_mean`` and, by level, ``dynamics/bandit_covariance``
            and its bins, or ``cov/mean`` and ``cov/by_accuracy/``.
        level: covariance of whole responses within a group (eq. 8, 9), or of tokens (eq. 10).

    Returns:
        ``mean_window``, ``slope_window`` (RL steps of smoothing), ``seeds``; the smoothed means ``step``, ``minus_delta``
        (nats an RL step), ``covariance``; estimates over seeds: ``correlation`` of the two smoothed
        curves, ``positive_share`` of RL steps with a positive raw covariance, ``covariance_first``,
        ``covariance_last``, ``minus_delta_first``, ``minus_delta_last`` (first and last fifth),
        ``by_accuracy`` (bin: mean covariance over the RL steps that have all bins);
        ``high_minus_low`` (paired), ``ordered`` (share of seeds with low < middle < high).

    Raises:
        ValueError: no such run, a missing key, or too few RL steps.
    """
    group, smooth = prepared(runs, level)
    key, prefix = KEYS[level]
    fall, covariance = seed_mean(group, FALL), seed_mean(smooth, key)
    bins = [_bin_means(run, prefix) for run in group]
    ordered = [means["low"] < means["middle"] < means["high"] for means in bins]
    return {
        "mean_window": smoothing_window(group[0]),
        "slope_window": slope_window(group[0]),
        "seeds": [run.seed for run in group],
        "step": fall.step_N.tolist(),
        "minus_delta": fall.mean_N.tolist(),
        "covariance_step": covariance.step_N.tolist(),
        "covariance": covariance.mean_N.tolist(),
        "correlation": over_seeds(smooth, lambda run: _correlation(run, key)),
        "positive_share": over_seeds(group, lambda run: float((curve(run, key)[1] > 0).mean())),
        "covariance_first": over_seeds(group, lambda run: _first_fifth(run, key)),
        "covariance_last": over_seeds(group, lambda run: plateau(run, key)),
        "minus_delta_first": over_seeds(group, lambda run: _first_fifth(run, FALL)),
        "minus_delta_last": over_seeds(group, lambda run: plateau(run, FALL)),
        "by_accuracy": {name: estimate([means[name] for means in bins]) for name in BINS},
        "high_minus_low": paired(
            by_seed(group, lambda run: _bin_means(run, prefix)["high"]),
            by_seed(group, lambda run: _bin_means(run, prefix)["low"]),
        ),
        "ordered": float(np.mean(ordered)),
    }


def _bin_means(run: Run, prefix: str) -> dict[str, float]:
    for name in BINS:
        curve(run, prefix + name)
    values = np.array([run.history[prefix + name] for name in BINS])
    all_bins_N = np.isfinite(values).all(axis=0)
    if not all_bins_N.any():
        raise ValueError(
            f"run {run.name!r} has no RL step with all of {prefix}{{{', '.join(BINS)}}}"
        )
    return dict(zip(BINS, values[:, all_bins_N].mean(axis=1).tolist(), strict=True))


def _first_fifth(run: Run, key: str) -> float:
    step_N, value_N = curve(run, key)
    return float(value_N[(5 * step_N <= step_N[-1]) | (step_N == step_N[0])].mean())


def _correlation(run: Run, key: str) -> float:
    both_N = np.isfinite(run.history[FALL]) & np.isfinite(run.history[key])
    return float(np.corrcoef(run.history[FALL][both_N], run.history[key][both_N])[0, 1])


def figure_8(runs: Sequence[Run], level: Level = "response") -> Figure:
    """Left: the fall of entropy and the covariance. Right: the covariance by group accuracy.

    The curves are smoothed as :func:`measure_8` says; it has the arguments and errors too.
    """
    group, smooth = prepared(runs, level)
    key, prefix = KEYS[level]
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _plot_pair(left, group, smooth, key)
        colours = sequential_colours(len(BINS))
        for (name, interval), colour in zip(BINS.items(), colours, strict=True):
            seed_lines(right, smooth, prefix + name, colour, interval)
        right.axhline(0.0, color="black", linewidth=0.6)
        window = smoothing_window(group[0])
        right.set(xlabel=f"RL step (mean over {window})", ylabel=f"covariance, {level}s (nats)")
        _legend_above(right, *right.get_legend_handles_labels(), title="accuracy of the group")
    return figure


def _plot_pair(axes: Axes, group: Sequence[Run], smooth: Sequence[Run], key: str) -> None:
    """Two y axes with one zero: the claim is about the shapes, the scales differ by the step."""
    other = axes.twinx()
    seed_lines(axes, group, FALL, BLUE, r"$-\Delta H$")
    seed_lines(other, smooth, key, RED, "covariance")
    windows = f"slope over {slope_window(group[0])}, mean over {smoothing_window(group[0])}"
    axes.set(xlabel=f"RL step ({windows})", ylabel=r"$-\Delta H$ ($10^{-3}$ nats an RL step)")
    axes.yaxis.set_major_formatter(lambda value, position: f"{1e3 * value:.3g}")
    other.set(ylabel="covariance (nats)")
    share = max(_share_below(axes), _share_below(other))
    for panel, colour in ((axes, BLUE), (other, RED)):
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, -high * share / (1 - share)), high)
        panel.yaxis.label.set_color(colour)
        panel.tick_params(axis="y", colors=colour)
    other.grid(False)
    other.spines["right"].set_visible(True)
    axes.axhline(0.0, color="black", linewidth=0.6)
    handles, names = axes.get_legend_handles_labels()
    more_handles, more_names = other.get_legend_handles_labels()
    _legend_above(axes, handles + more_handles, names + more_names, title="policy gradient")


def _legend_above(axes: Axes, handles: list[Any], names: list[str], title: str) -> None:
    axes.legend(
        handles, names, title=title, title_fontsize=7, loc="lower center",
        bbox_to_anchor=(0.5, 1.0), ncols=len(names),
    )  # fmt: skip


def _share_below(axes: Axes) -> float:
    """Share of the height of the panel that lies below zero."""
    low, high = axes.get_ylim()
    return max(-low, 0.0) / (high - min(low, 0.0))
