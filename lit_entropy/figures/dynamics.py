"""Fig. 8 (arXiv 2505.22617): the fall of entropy beside the covariance that drives it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.cells import POLICY_GRADIENT
from lit_entropy.figures.covariances import (
    BINS,
    COVARIANCE,
    FALL,
    bin_means,
    correlation,
    first_fifth,
    measured_fall,
    of_bin,
    prepared,
    slope_window,
)
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay
from lit_entropy.figures.estimates import (
    Estimate,
    Paired,
    by_seed,
    estimate,
    labelled,
    over_seeds,
    paired,
    plateau,
    smoothing_window,
)
from lit_entropy.figures.marks import zero_line
from lit_entropy.figures.panels import align_zeros, frame_lines, legend_above
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import curve, seed_lines, seed_mean
from lit_entropy.figures.style import (
    BLUE,
    FULL_WIDTH,
    RED,
    paper_figure,
    sequential_colours,
)
from lit_entropy.figures.verdicts import Decision, above, every

LABEL = "policy gradient"


@dataclass(frozen=True)
class FallAndCovariance:
    """The fall of entropy beside the covariance; estimates over seeds."""

    # RL steps of smoothing
    mean_window: int
    slope_window: int
    seeds: list[int]
    # smoothed mean fall of entropy, nats per RL step, where the window of the slope is whole
    step: list[float]
    minus_delta: list[float]
    # smoothed mean covariance, nats
    covariance_step: list[float]
    covariance: list[float]
    # of the two smoothed curves, the fall's ends those of the outermost windows; None if constant
    correlation: Estimate | None
    positive_share: Estimate  # of the RL steps, those with a positive raw covariance
    # of the first and the last fifth, as in the correlation
    covariance_first: Estimate
    covariance_last: Estimate
    minus_delta_first: Estimate
    minus_delta_last: Estimate
    by_accuracy: dict[str, Estimate]  # by bin, mean covariance over the RL steps that have all bins
    # between bins
    middle_minus_low: Paired | None
    high_minus_middle: Paired | None
    ordered: float  # share of seeds with low < middle < high


def measure_8(runs: Sequence[Run]) -> FallAndCovariance:
    """The numbers of Fig. 8, of the runs labelled "policy gradient".

    Args:
        runs: with ``entropy/token_mean`` and ``dynamics/bandit_covariance``, the covariance of
            whole responses within a group (eq. 8, 9), and its bins.

    Raises:
        ValueError: no such run, a missing key, or too few RL steps.
    """
    return measure_fall(labelled(runs, LABEL)[LABEL])


def measure_fall(runs: Sequence[Run]) -> FallAndCovariance:
    """As :func:`measure_8` for the runs of any one label."""
    group, smooth = prepared(runs)
    fall = seed_mean([measured_fall(run) for run in group], FALL)
    covariance = seed_mean(smooth, COVARIANCE)
    bins = [bin_means(run) for run in group]
    by_bin = {name: by_seed(group, lambda run: bin_means(run)[name]) for name in BINS}  # noqa: B023
    correlations = [c for run in smooth if (c := correlation(run)) is not None]
    ordered = [means["low"] < means["middle"] < means["high"] for means in bins]
    return FallAndCovariance(
        mean_window=smoothing_window(group[0]),
        slope_window=slope_window(group[0]),
        seeds=[run.seed for run in group],
        step=fall.step_N.tolist(),
        minus_delta=fall.mean_N.tolist(),
        covariance_step=covariance.step_N.tolist(),
        covariance=covariance.mean_N.tolist(),
        correlation=estimate(correlations) if len(correlations) == len(smooth) else None,
        positive_share=over_seeds(group, lambda run: float((curve(run, COVARIANCE)[1] > 0).mean())),
        covariance_first=over_seeds(group, lambda run: first_fifth(run, COVARIANCE)),
        covariance_last=over_seeds(group, lambda run: plateau(run, COVARIANCE)),
        minus_delta_first=over_seeds(group, lambda run: first_fifth(run, FALL)),
        minus_delta_last=over_seeds(group, lambda run: plateau(run, FALL)),
        by_accuracy={name: estimate([means[name] for means in bins]) for name in BINS},
        middle_minus_low=paired(by_bin["middle"], by_bin["low"]),
        high_minus_middle=paired(by_bin["high"], by_bin["middle"]),
        ordered=float(np.mean(ordered)),
    )


def figure_8(runs: Sequence[Run]) -> Figure:
    """Left: the fall of entropy and the covariance. Right: the covariance by group accuracy."""
    return overlay_8(labelled(runs, LABEL)[LABEL])


def overlay_8(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_8` for every label, a row each."""
    groups = by_label(runs)
    with paper_figure(FULL_WIDTH, 3.1 * len(groups)) as figure:
        rows = figure.subplots(len(groups), 2, squeeze=False)
        for (left, right), (label, unsmoothed) in zip(rows, groups.items(), strict=True):
            group, smooth = prepared(unsmoothed)
            _plot_pair(left, group, smooth, label)
            _plot_bins(right, smooth)
    return figure


def _plot_bins(axes: Axes, smooth: Sequence[Run]) -> None:
    colours = sequential_colours(len(BINS))
    for (name, interval), colour in zip(BINS.items(), colours, strict=True):
        seed_lines(axes, smooth, of_bin(name), colour, interval)
    frame_lines(axes)
    zero_line(axes)
    window = smoothing_window(smooth[0])
    axes.set(xlabel=f"RL step (mean over {window})", ylabel="covariance, responses (nats)")
    handles, names = axes.get_legend_handles_labels()
    legend_above(axes, handles, names, "accuracy of the group", len(BINS))


def _plot_pair(axes: Axes, group: Sequence[Run], smooth: Sequence[Run], label: str) -> None:
    """Two y axes with one zero: the claim is about the shapes, the scales differ by the step."""
    other = axes.twinx()
    seed_lines(axes, [measured_fall(run) for run in group], FALL, BLUE, r"$-\Delta H$")
    seed_lines(other, smooth, COVARIANCE, RED, "covariance")
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
    zero_line(axes)
    handles, names = axes.get_legend_handles_labels()
    more_handles, more_names = other.get_legend_handles_labels()
    legend_above(axes, handles + more_handles, names + more_names, label, 2)


def stays_positive(share: Estimate) -> Decision:
    """That a covariance is positive at more than 90 % of the RL steps."""
    return above(share, 0.9)


def _judge_positive(m: FallAndCovariance) -> Judgement:
    share = m.positive_share
    return Judgement(stays_positive(share), f"positive at {percent(share)} of the RL steps")


def _judge_shape(m: FallAndCovariance) -> Judgement:
    text = f"correlation of the smoothed curves {show(m.correlation, 2)}"
    return Judgement(above(m.correlation, 0), text)


def _judge_order(m: FallAndCovariance) -> Judgement:
    parts = [f"{name} {show(value, 4)}" for name, value in m.by_accuracy.items()]
    text = f"{', '.join(parts)}; ordered in {m.ordered:.0%} of the seeds"
    return Judgement(every(above(m.middle_minus_low, 0), above(m.high_minus_middle, 0)), text)


FIGURE_8 = Entry(
    "8", "Fig. 8", "Entropy falls as the covariance says",
    "Responses as actions (eq. 8, 9), strictly on-policy policy gradient. The slope is drawn where "
    "its window is whole.", measure_8, figure_8,
    (
        Claim("The covariance of responses stays positive through training.",
              "0.04 falling to 0.005",
              "95 % interval of the share of RL steps with a positive one above 90 %",
              _judge_positive),
        Claim("The fall of entropy and the covariance have the same shape.", "two like curves",
              "correlation of the smoothed curves, 95 % interval above 0", _judge_shape),
        Claim("The easier the prompt, the higher the covariance.",
              "group accuracy 0.125 < 0.5 < 0.875",
              "middle minus low and high minus middle: paired 95 % intervals above 0",
              _judge_order),
    ),
    (POLICY_GRADIENT,), overlay=Overlay(measure_fall, overlay_8),
)  # fmt: skip
