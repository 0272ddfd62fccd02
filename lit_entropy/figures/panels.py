"""Small acts on a panel that several figures share."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lit_entropy.figures.marks import GREY


def frame_lines(*panels: Axes, bottom: float | None = None) -> None:
    """Fit the y axis to the lines alone, seeds included: the 95 % band of two seeds is 13 standard
    errors wide each way and would flatten everything else, so it may leave the panel.

    Args:
        panels: the panel, or panels that share the axis; of a linear or a logarithmic scale.
        bottom: lower end of the axis, if it is fixed.
    """
    axes = panels[0]
    scale = axes.yaxis.get_transform()
    lines = [line for panel in panels for line in panel.lines]
    drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    if axes.get_yscale() == "log":
        drawn = drawn[drawn > 0]
    drawn = scale.transform(drawn[np.isfinite(drawn)])
    margin = 0.05 * (drawn.max() - drawn.min() or abs(drawn.max()) or 1.0)
    low, high = scale.inverted().transform(np.array([drawn.min() - margin, drawn.max() + margin]))
    axes.set_ylim(low if bottom is None else bottom, high)


def align_zeros(*panels: Axes) -> None:
    """Widen linear y axes so that zero is inside each and at one height in all."""
    limits = []
    for axes in panels:
        low, high = axes.get_ylim()
        low, high = min(low, 0.0), max(high, 0.0)
        size = high - low
        limits.append((min(low, -0.05 * size), max(high, 0.05 * size)))
    share = max(-low / (high - low) for low, high in limits)  # of the height, below zero
    for axes, (_, high) in zip(panels, limits, strict=True):
        axes.set_ylim(-high * share / (1 - share), high)


def plain_log_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis as plain numbers: decades where there are more than two, 1, 2, 5
    in each of two, 1, 2, 3, 5, 7 within one, few round numbers where these are less than three.
    Call it when the limits stand."""
    low, high = axis.get_view_interval()
    if high / low < 10:
        decade = 10.0 ** np.floor(np.log10([[low], [high]]))
        ticks = np.unique((decade * [1, 2, 3, 5, 7]).round(15))
        ticks = ticks[(low <= ticks) & (ticks <= high)]
        few = MaxNLocator(3, steps=[1, 2, 5, 10])
        axis.set_major_locator(FixedLocator(ticks.tolist()) if len(ticks) >= 3 else few)
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend_above(
    axes: Axes, handles: list[Artist], names: list[str], title: str, columns: int
) -> None:
    """A legend above the panel, where it covers no data."""
    axes.legend(
        handles, names, title=title, title_fontsize=8, loc="lower center",
        bbox_to_anchor=(0.5, 1.0), ncols=columns, columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def legend_of_labels(
    figure: Figure, *panels: Axes, columns: int = 4, markerscale: float = 1.0
) -> None:
    """The names of what panels show, above all of them; of one name the first panel's mark."""
    named: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(
        list(named.values()), list(named), loc="outside upper center",
        ncols=min(columns, len(named)), columnspacing=1.2, handlelength=1.6,
        markerscale=markerscale,
    )  # fmt: skip


def lacks(axes: Axes, *keys: str) -> None:
    """Say on an empty panel what it would need."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, "not logged:\n" + "\n".join(keys), transform=axes.transAxes, color=GREY,
        ha="center", va="center", fontsize=7,
    )  # fmt: skip
