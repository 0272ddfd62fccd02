"""Panels of the law's figures: accuracy against entropy, and dots with intervals beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lit_entropy.figures.style import t_half_width

Measured = Mapping[str, Any]


def entropy_axis(axes: Axes, entropies: Sequence[float]) -> None:
    """Entropy on a log scale that falls to the right, as training does; labels as plain numbers."""
    axes.set_xscale("log")
    positive = [entropy for entropy in entropies if entropy > 0]
    low, high = min(positive), max(positive)
    axes.set_xlim(high * 1.12, low / 1.12)
    wide = high / low > 4
    locator = LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="entropy, token mean (nats, log scale)", ylabel="accuracy, held out (greedy)")


def entropies_of(laws: Sequence[Measured]) -> list[float]:
    """Entropies of all points of all seeds."""
    return [value for law in laws for point in law["points"] for value in point["entropy"]]


def law_points(axes: Axes, law: Measured, colour: str, marker: str) -> None:
    """One small marker a pair, one collection a seed."""
    for point in law["points"]:
        axes.scatter(
            point["entropy"], point["accuracy"], s=9, marker=marker, color=colour, alpha=0.45,
            linewidths=0,
        )  # fmt: skip


def law_curve(
    axes: Axes, a: Measured, b: Measured, colour: str, label: str, band: bool = True, **line: Any
) -> None:
    """The law over the visible entropies: seeds thin, their mean thick, its 95 % t interval a band.

    Args:
        axes: an axis of :func:`entropy_axis`.
        a, b: estimates with the ``values`` of the seeds.
        colour: of everything.
        label: of the mean.
        band: whether to draw the seeds and the band.
        line: further properties of the mean's line.
    """
    high, low = axes.get_xlim()
    entropy_N = np.geomspace(high, low, 200)
    values_S1, offsets_S1 = (np.array(each["values"])[:, None] for each in (a, b))
    curves_SN = offsets_S1 - values_S1 * np.exp(entropy_N)
    mean_N = curves_SN.mean(axis=0)
    if band and len(curves_SN) > 1:
        axes.plot(entropy_N, curves_SN.T, color=colour, linewidth=0.5, alpha=0.5)
        half_N = t_half_width(curves_SN)
        axes.fill_between(
            entropy_N, mean_N - half_N, mean_N + half_N, color=colour, alpha=0.12, linewidth=0
        )
    axes.plot(entropy_N, mean_N, color=colour, label=label, **line)


def fit_to_points(axes: Axes, laws: Sequence[Measured]) -> None:
    """Limit the accuracies to those measured, with room; a wide band runs out of the axes."""
    values = [value for law in laws for point in law["points"] for value in point["accuracy"]]
    room = 0.12 * max(max(values) - min(values), 0.05)
    axes.set_ylim(min(values) - room, max(values) + room)


def legend_below(axes: Axes, laws: Sequence[Measured], **properties: Any) -> None:
    """A legend at the lower right, the axis extended down until no point lies in that corner."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    in_corner = [
        accuracy
        for law in laws
        for point in law["points"]
        for entropy, accuracy in zip(point["entropy"], point["accuracy"], strict=True)
        if entropy < left * (right / left) ** 0.45
    ]
    if in_corner:  # the legend takes half the height at most
        axes.set_ylim(bottom=min(low, 2 * min(in_corner) - high))
    axes.legend(loc="lower right", **properties)


def dot_panel(
    axes: Axes, estimates: Mapping[str, Measured], colours: Mapping[str, str], scale: float = 1.0
) -> None:
    """One row an estimate, first on top: seeds as small dots, the mean with its 95 % interval.

    Args:
        axes: where to draw; rows are labelled on the y axis.
        estimates: ``values``, ``mean`` and either ``low`` and ``high`` or ``half_width``, by name.
        colours: by name.
        scale: factor of all numbers.
    """
    for row, (name, value) in enumerate(estimates.items()):
        low, high = bounds(value)
        mean, seeds = scale * value["mean"], scale * np.array(value["values"])
        axes.scatter(seeds, np.full(len(seeds), row + 0.22), s=5, color=colours[name], alpha=0.5)
        error = [[mean - scale * low], [scale * high - mean]]
        axes.errorbar(
            [mean], [row], xerr=error, color=colours[name], marker="o", markersize=3.5,
            capsize=2, linewidth=1,
        )  # fmt: skip
    axes.set_yticks(range(len(estimates)), list(estimates))
    axes.set_ylim(len(estimates) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))


def bounds(value: Measured) -> tuple[float, float]:
    """Bounds of an estimate's interval; NaN where it has none."""
    if "low" in value:
        low, high = value["low"], value["high"]
        return (np.nan, np.nan) if low is None or high is None else (low, high)
    half_width = np.nan if value["half_width"] is None else value["half_width"]
    return value["mean"] - half_width, value["mean"] + half_width
