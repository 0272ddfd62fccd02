"""What a validation found: pass@k, maj@k and Cover@tau by policy, one column per set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from lit_entropy.evaluation.report.records import CurvePoint, Report, Score
from lit_entropy.figures.style import (
    BLACK,
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    paper_style,
)

#: Colours of the policies in their order; the first is the one compared against.
COLOURS = (BLACK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
MARKERS = "osD^v<>X"
#: How the legend shows an interval, by whether there are bands.
INTERVAL_MARKS: dict[bool, Artist] = {
    True: Patch(color=GREY, alpha=0.25, linewidth=0),
    False: Line2D([], [], color=GREY, linewidth=1, marker="|"),
}
#: Widest row of panels.
MOST_COLUMNS = 4


def evaluation_figure(report: Report) -> Figure:
    """Curves of every sampled set; a set that was decoded greedily alone shows its accuracy.

    Above pass@k (solid) and maj@k (dashed), with 95 % t intervals over problems as bands; below
    Cover@tau, whose faint line is the share of problems that are surely covered.

    Args:
        report: of one or more policies.
    """
    names = list(report.policies[0].sets)
    sampled = [name for name in names if _sampled(report, name)]
    greedy = [name for name in names if name not in sampled]
    single = len(sampled) == 1
    columns = 2 if single else max(1, min(MOST_COLUMNS, len(sampled)))
    rows = 1 if single else 2 * -(-len(sampled) // columns)
    heights = [2.1] * rows + [1.6] * bool(greedy)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, sum(heights) + 0.4), layout="constrained")
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for index, name in enumerate(sampled):
            row, column = 2 * (index // columns), index % columns
            above = figure.add_subplot(grid[row, column])
            below = figure.add_subplot(grid[0, 1] if single else grid[row + 1, column])
            _plot_curves(above, report, name)
            _plot_cover(below, report, name)
            if len(names) > 1:
                above.set_title(name)
            if column == 0:
                above.set_ylabel("pass@k, maj@k (%)")
                below.set_ylabel(r"Cover@$\tau$ (%)")
        if greedy:
            _plot_greedy(figure.add_subplot(grid[-1, :]), report, greedy)
        _legend(figure, INTERVAL_MARKS[bool(sampled)])
    return figure


def _legend(figure: Figure, interval: Artist) -> None:
    """The policies and what else the panels name, and what an interval is."""
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles["95 % t interval over problems"] = interval
    width = max(map(len, handles)) + 8  # characters a column needs, of about 110 in all
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper center",
        ncols=max(1, min(len(handles), 110 // width)),
    )


def _sampled(report: Report, name: str) -> bool:
    return any(policy.sets[name].pass_curve for policy in report.policies)


def _style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def _line(points: Sequence[tuple[float, Score]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, mean and half the 95 % t interval (0 where there is none) of a curve, as percentages."""
    rows = [(x, s.mean, s.half_width or 0.0) for x, s in points if s.mean is not None]
    x, mean, half = np.array(rows, dtype=float).reshape(-1, 3).T
    return x, 100 * mean, 100 * half


def _band(axes: Axes, x: np.ndarray, mean: np.ndarray, half: np.ndarray, **style: Any) -> None:
    axes.fill_between(x, mean - half, mean + half, alpha=0.15, linewidth=0, **style)


def _at_k(points: Sequence[CurvePoint]) -> list[tuple[float, Score]]:
    return [(point.k, point.score) for point in points]


def _plot_curves(axes: Axes, report: Report, name: str) -> None:
    ks: set[int] = set()
    for index, policy in enumerate(report.policies):
        found, style = policy.sets[name], _style(index)
        k, mean, half = _line(_at_k(found.pass_curve))
        ks |= set(k.astype(int).tolist())
        axes.plot(k, mean, markersize=3, label=policy.name, **style)
        _band(axes, k, mean, half, color=style["color"])
        if found.majority_curve:
            k, mean, _ = _line(_at_k(found.majority_curve))
            axes.plot(k, mean, color=style["color"], linewidth=0.9, linestyle="--")
    if any(policy.sets[name].majority_curve for policy in report.policies):
        axes.plot([], [], color=GREY, linewidth=0.9, linestyle="--", label="maj@k")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(ks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlabel="k (samples)", ylim=(-2, 102))


def _plot_cover(axes: Axes, report: Report, name: str) -> None:
    for index, policy in enumerate(report.policies):
        points, colour = policy.sets[name].cover_curve, _style(index)["color"]
        points = [*(replace(point, tau=0.0) for point in points[:1]), *points]  # first step is flat
        tau, mean, half = _line([(point.tau, point.score) for point in points])
        axes.plot(tau, mean, color=colour, drawstyle="steps-pre")
        _band(axes, tau, mean, half, color=colour, step="pre")
        surely = [100 * point.surely for point in points]
        axes.plot(tau, surely, color=colour, linewidth=0.6, linestyle=":", drawstyle="steps-pre")
    axes.plot([], [], color=GREY, linewidth=0.6, linestyle=":", label="surely covered")
    axes.set(xlabel=r"success rate $\tau$", xlim=(0, 1.02), ylim=(-2, 102))


def _plot_greedy(axes: Axes, report: Report, names: Sequence[str]) -> None:
    """Greedy accuracy with its 95 % t interval, sets from left to right."""
    count = len(report.policies)
    for index, policy in enumerate(report.policies):
        found = [policy.sets[name].scores.get("accuracy") for name in names]
        drawn = [
            (at, s.mean, s.half_width) for at, s in enumerate(found) if s and s.mean is not None
        ]
        offset = 0.12 * (index - (count - 1) / 2)
        axes.errorbar(
            [at + offset for at, *_ in drawn],
            [100 * mean for _, mean, _ in drawn],
            yerr=[100 * (width or 0.0) for *_, width in drawn],
            linestyle="none",
            markersize=3.5,
            elinewidth=0.9,
            label=policy.name,
            **_style(index),
        )
    axes.set_xticks(range(len(names)), list(names))
    axes.set(ylabel="greedy accuracy (%)", xlim=(-0.5, len(names) - 0.5))
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=""))
