"""Panels of the law's figures: accuracy against entropy, and dots with intervals beside it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lit_entropy.figures.coefficients import GREEDY, LawMetrics, Points
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.marks import PAIR
from lit_entropy.figures.seeds import draw_mean, draw_seeds, t_half_width


def entropy_axis(axes: Axes, points: Sequence[Points], metrics: LawMetrics) -> None:
    """Entropy on a log scale that falls to the right, as training does; labels as plain numbers.

    ``metrics`` are those of the points.
    """
    axes.set_xscale("log")
    positive = [entropy for each in points for entropy in each.entropy if entropy > 0]
    low, high = min(positive), max(positive)
    axes.set_xlim(high * 1.12, low / 1.12)
    wide = high / low > 4
    locator = LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    sampled = metrics.accuracy.removeprefix("val/")
    of, how = ("token mean", "greedy") if metrics == GREEDY else ("held out", sampled)
    axes.set(xlabel=f"entropy, {of} (nats, log scale)", ylabel=f"accuracy, held out ({how})")


def law_points(
    axes: Axes, points: Sequence[Points], colour: str, marker: str, label: str = ""
) -> None:
    """One small marker a pair, one collection a seed.

    Without a ``label`` they are explained by that of the curve, whose legend has the marker.
    """
    for index, each in enumerate(points):
        axes.scatter(
            each.entropy, each.accuracy, s=9, marker=marker, color=colour, alpha=0.45,
            linewidths=0, label=label if index == 0 else None, gid=PAIR,
        )  # fmt: skip


def law_curve(
    axes: Axes,
    a: Sequence[float],
    b: Sequence[float],
    colour: str,
    label: str,
    band: bool = True,
    linestyle: str = "-",
    marker: str = "",
) -> None:
    """The law over the visible entropies: seeds thin, their mean thick, its 95 % t interval a band.

    Args:
        axes: an axis of :func:`entropy_axis`.
        a, b: of the seeds.
        colour: of everything.
        label: of the mean.
        band: whether to draw the seeds and the band.
        linestyle: of the mean.
        marker: in the legend alone.
    """
    high, low = axes.get_xlim()
    entropy_N = np.geomspace(high, low, 200)
    values_S1, offsets_S1 = (np.array(each)[:, None] for each in (a, b))
    curves_SN = offsets_S1 - values_S1 * np.exp(entropy_N)
    mean_N = curves_SN.mean(axis=0)
    if band:
        draw_seeds(axes, [(entropy_N, curve_N) for curve_N in curves_SN], colour)
        draw_mean(axes, entropy_N, mean_N, t_half_width(curves_SN), colour)
    else:
        axes.plot(entropy_N, mean_N, color=colour)
    axes.lines[-1].set(label=label, linestyle=linestyle, marker=marker, markersize=3, markevery=[])


def fit_to_points(axes: Axes, points: Sequence[Points]) -> None:
    """Limit the accuracies to those measured, with room; a wide band runs out of the axes."""
    values = [value for each in points for value in each.accuracy]
    room = 0.12 * max(max(values) - min(values), 0.05)
    axes.set_ylim(min(values) - room, max(values) + room)


def legend_below(axes: Axes, points: Sequence[Points], title: str = "") -> None:
    """A legend at the lower right, the axis extended down until no point lies in that corner."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    in_corner = [
        accuracy
        for each in points
        for entropy, accuracy in zip(each.entropy, each.accuracy, strict=True)
        if entropy < left * (right / left) ** 0.45
    ]
    if in_corner:  # the legend takes half the height at most
        axes.set_ylim(bottom=min(low, 2 * min(in_corner) - high))
    if title:
        axes.legend(
            loc="lower right", alignment="left", title=title, title_fontsize=7, handlelength=1.5
        )
    else:
        axes.legend(loc="lower right")


def dot_panel(
    axes: Axes, estimates: Mapping[str, Estimate], colours: Mapping[str, str], scale: float = 1.0
) -> None:
    """One row per estimate, first on top: seeds as small dots, the mean with its 95 % interval.

    Args:
        axes: where to draw; rows are labelled on the y axis.
        estimates: by name.
        colours: by name.
        scale: factor of all numbers.
    """
    for row, (name, value) in enumerate(estimates.items()):
        draw_estimates(
            axes, [row], [value], colours[name], scale=scale, seeds_at=[row + 0.22],
            horizontal=True, linestyle="none",
        )  # fmt: skip
    axes.set_yticks(range(len(estimates)), list(estimates))
    axes.set_ylim(len(estimates) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))
