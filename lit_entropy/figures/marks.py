"""What the marks of every figure mean: seeds and intervals are explained once, below the panels."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

GREY = "#7F7F7F"
#: The gid of an artist says which of these it is; each is named in the legend below the figure.
SEED_LINE, SEED_POINT, BAND, BAR = "seed line", "seed point", "band", "bar"
MEAN_POINT = "mean point"
#: The gid of points that stand in a panel's own legend.
PAIR = "pair"
#: The gid of a line that belongs to the axes: the zero of a panel.
AXIS = "axis"

MEANINGS: dict[str, tuple[str, Artist]] = {
    SEED_LINE: ("one seed", Line2D([], [], color=GREY, linewidth=0.5)),
    SEED_POINT: (
        "one seed",
        Line2D([], [], color=GREY, linestyle="none", marker="o", markersize=2.5),
    ),
    MEAN_POINT: (
        "mean over seeds",
        Line2D([], [], color=GREY, linestyle="none", marker="o", markersize=3.5),
    ),
    BAND: ("95 % t interval over seeds", Patch(color=GREY, alpha=0.25, linewidth=0)),
    BAR: ("95 % t interval over seeds", Line2D([], [], color=GREY, linewidth=1, marker="|")),
}


def artists(figure: Figure) -> Iterator[Artist]:
    """Everything that was drawn into the panels: lines, points, areas."""
    for axes in figure.axes:
        yield from (*axes.lines, *axes.collections, *axes.patches)


def explain(figure: Figure) -> None:
    """Name the marks of seeds and intervals that the figure holds in a legend below its panels."""
    held = {artist.get_gid() for artist in artists(figure)}
    meanings = [MEANINGS[role] for role in MEANINGS if role in held]
    if meanings:
        names, handles = zip(*meanings, strict=True)
        figure.legend(
            handles, names, loc="outside lower center", ncols=len(names), fontsize=6.5,
            handlelength=1.4, columnspacing=1.4, labelcolor=GREY,
        )  # fmt: skip


def zero_line(axes: Axes) -> None:
    """The zero of the y axis."""
    axes.axhline(0.0, color="black", linewidth=0.6, gid=AXIS)


def seed_points(
    axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, size: float = 6
) -> None:
    """One small dot a seed."""
    axes.scatter(x, y, s=size, color=colour, alpha=0.5, linewidths=0, gid=SEED_POINT)


def mark_interval(bars: ErrorbarContainer, half: np.ndarray) -> None:
    """Say of error bars that they are intervals over seeds, if there are any: none is NaN."""
    _, caps, lines = bars
    for artist in (*caps, *lines):
        artist.set_gid(BAR if np.isfinite(half).any() else None)
