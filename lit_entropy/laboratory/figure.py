"""The picture of the anatomy: pairs of changes above, what each assumption is worth below."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from lit_entropy.figures.as_text import opposed
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.marks import AXIS
from lit_entropy.figures.style import BLUE, FULL_WIDTH, GREY, ORANGE, paper_figure
from lit_entropy.laboratory.measure import Measured, States, states_of
from lit_entropy.laboratory.rows import Row

#: Rows below this slope are drawn at the edge of the logarithmic axis.
SMALLEST = 1e-3


def anatomy_figure(
    measured: Sequence[Measured],
    shown: Sequence[Row],
    runs: Mapping[str, Mapping[int, States]],
) -> Figure:
    """Draw the anatomy.

    Args:
        measured: every row, the reference first.
        shown: rows whose pairs stand in a panel of their own, four at most.
        runs: states by name of the cell and seed.
    """
    by_label = {each.row.label: each for each in measured}
    with paper_figure(FULL_WIDTH, 2.2 + 0.23 * len(measured)) as figure:
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.75, 0.35 + 0.23 * len(measured)])
        above, below = parts
        panels = np.atleast_1d(above.subplots(1, len(shown)))
        for axes, row in zip(panels, shown, strict=True):
            _pairs(axes, by_label[row.label], list(runs[row.condition].values()))
        panels[0].set_ylabel(r"realised $\Delta H$ ($10^{-3}$ nats)")
        _dots(below, measured)
        # of every panel above what no earlier one has drawn, then the dots
        marks = {
            label: handle
            for axes in (*panels, below.axes[0])
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        below.legend(marks.values(), marks, loc="outside upper center", ncols=3)
    return figure


def _pairs(axes: Axes, found: Measured, states: Sequence[States]) -> None:
    """Every state at every RL step of all seeds: the diagonal, or the fitted line far from it."""
    sides = [states_of(each, found.row) for each in states]
    predicted_N, realised_N = (1e3 * np.concatenate(side) for side in zip(*sides, strict=True))
    axes.scatter(
        predicted_N, realised_N, s=3, color=BLUE, alpha=0.35, linewidths=0, rasterized=True,
        label="one state",
    )  # fmt: skip
    if 0.1 < found.slope.mean < 10:  # elsewhere the diagonal is an axis
        axes.axline(
            (0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--", gid=AXIS, label="equal"
        )
    else:
        axes.axline(
            (0, 0), slope=found.slope.mean, color=ORANGE, linewidth=0.8, label="fitted slope"
        )
    axes.set_title(_wrapped(found.row.label), fontsize=7)
    axes.set_xlabel(r"predicted ($10^{-3}$ nats)")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.22 * (high - low))
    axes.locator_params(nbins=4)
    against = opposed(found.opposed, len(found.r2.values))
    note = f"$R^2$ {_digits(found.r2.mean)}, slope {found.slope.mean:.3g}{against}"
    axes.text(0.03, 0.97, note, transform=axes.transAxes, va="top", fontsize=6.5)


def _dots(figure: SubFigure, measured: Sequence[Measured]) -> None:
    """R², slope and sign of every row, its label at the left."""
    places = list(range(len(measured)))[::-1]
    panels = figure.subplots(1, 3, sharey=True)
    reads = (("r2", "$R^2$"), ("slope", "slope (0 and less at the edge)"), ("sign", "same sign"))
    for axes, (name, title) in zip(panels, reads, strict=True):
        for prefix, shift, colour, label in (
            ("", 0.15, BLUE, "from state to state"),
            ("step_", -0.15, ORANGE, "means over states, step by step"),
        ):
            values = [_floored(getattr(each, prefix + name), name) for each in measured]
            draw_estimates(
                axes, [place + shift for place in places], values, colour, label,
                horizontal=True, linestyle="none",
            )  # fmt: skip
            if name == "r2":
                _hollow(axes, measured, prefix, shift, colour)
        axes.axvline(1.0, color=GREY, linewidth=0.6, linestyle="--", gid=AXIS)
        axes.set_xlabel(title)
    panels[1].set_xscale("log")
    for axes in (panels[0], panels[2]):
        axes.set_xlim(-0.05, 1.05)
    panels[0].set_yticks(places, [each.row.label for each in measured])
    panels[0].set_ylim(-0.6, len(measured) - 0.4)


def _hollow(
    axes: Axes, measured: Sequence[Measured], prefix: str, shift: float, colour: str
) -> None:
    """R² that some seeds have of a change against the prediction, hollow."""
    last = len(measured) - 1
    at = [
        (getattr(each, prefix + "r2").mean, last - index + shift)
        for index, each in enumerate(measured)
        if getattr(each, prefix + "opposed")
    ]
    if at:
        axes.plot(
            *zip(*at, strict=True), marker="o", markersize=3.5, color=colour, zorder=4,
            markerfacecolor="white", linestyle="none", label="opposed in some seeds",
        )  # fmt: skip


def _floored(value: Estimate, name: str) -> Estimate:
    """On a logarithmic axis a slope of 0 or less stands at the edge."""
    if name != "slope":
        return value
    floored = [max(each, SMALLEST) for each in value.values]
    return Estimate(floored, max(value.mean, SMALLEST), value.half_width)


def _wrapped(label: str) -> str:
    head, _, rest = label.partition(": ")
    return f"{head}:\n{rest}" if rest else label


def _digits(value: float) -> str:
    """Of a number near 1 so many digits that it is told from 1."""
    return f"{value:.5f}" if value > 0.999 else f"{value:.3f}"
