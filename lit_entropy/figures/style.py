"""One look for every figure: sizes in inches as printed, one colour per method."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lit_entropy.atomic import atomic_write
from lit_entropy.figures.marks import GREY, explain

#: Width of a figure over both columns and over one, inches.
FULL_WIDTH, COLUMN_WIDTH = 7.0, 3.4

#: Palette of Okabe and Ito (2008), made for colour-blind readers.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
#: Three more of Tol's muted palette, made for colour-blind readers too.
TEAL, WINE, OLIVE = "#44AA99", "#882255", "#999933"

#: The colour of a method is the same in every figure.
METHOD_COLOURS: dict[str, str] = {
    "GRPO": BLACK,
    "clip-higher": SKY,
    "Clip-Cov": ORANGE,
    "KL-Cov": BLUE,
    "entropy bonus": GREEN,
    "reference KL": RED,
    "policy gradient": PURPLE,
    "RLOO": TEAL,
    "REINFORCE++": WINE,
    "PRIME": OLIVE,
    "other": GREY,
}

#: The marker of a method, so that a print without colour still tells them apart.
METHOD_MARKERS: dict[str, str] = {
    **{"GRPO": "o", "clip-higher": "v", "Clip-Cov": "s", "KL-Cov": "D"},
    **{"RLOO": "^", "REINFORCE++": "<", "PRIME": ">", "policy gradient": "P"},
}

RC: Any = {  # matplotlib types its keys as a union of 300 literals
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def method_colour(method: str) -> str:
    """The colour of a method; grey for one without a colour of its own."""
    return METHOD_COLOURS.get(method, GREY)


def method_marker(method: str) -> str:
    """The marker of a method; a cross for one without a marker of its own."""
    return METHOD_MARKERS.get(method, "X")


class Look(NamedTuple):
    """How one label is drawn in every panel of a figure."""

    colour: str
    marker: str


#: Colours and markers of labels that have none of their own.
FREE_COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, WINE, TEAL, OLIVE, BLACK)
FREE_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """A colour and a marker for each label: a method's own, for others one that is free.

    The first 10 labels have 10 colours; further ones repeat them with other markers.
    """
    labels = list(labels)
    taken = {METHOD_COLOURS[label] for label in labels if label in METHOD_COLOURS}
    colours = cycle([c for c in FREE_COLOURS if c not in taken] or FREE_COLOURS)
    used = {METHOD_MARKERS[label] for label in labels if label in METHOD_MARKERS}
    markers = cycle([m for m in FREE_MARKERS if m not in used] or FREE_MARKERS)
    return {
        label: Look(
            METHOD_COLOURS.get(label) or next(colours), METHOD_MARKERS.get(label) or next(markers)
        )
        for label in labels
    }


def sequential_colours(count: int) -> list[str]:
    """``count`` colours for ordered things (sizes, coefficients), dark to light."""
    # viridis beyond 0.75 is too light on white
    return [to_hex(matplotlib.colormaps["viridis"](x)) for x in np.linspace(0.0, 0.75, count)]


@contextmanager
def paper_figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of a size in inches, with the shared settings while it is drawn.

    A legend below it names the marks of seeds and intervals that it holds.
    """
    with paper_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        for axes in figure.axes:
            whole_steps(axes)
        explain(figure)


def whole_steps(axes: Axes) -> None:
    """Ticks of a linear x axis of RL steps at whole numbers: there is no step 0.5."""
    locator = axes.xaxis.get_major_locator()
    if axes.get_xlabel().startswith("RL step") and isinstance(locator, MaxNLocator):
        locator.set_params(integer=True, min_n_ticks=1)


@contextmanager
def paper_style() -> Iterator[None]:
    """The shared settings, for the duration of a block only."""
    with matplotlib.rc_context(RC):
        yield


def save(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write ``<stem>.png`` (300 dpi) and ``<stem>.pdf``; the same figure gives the same bytes.

    Args:
        figure: what to write.
        stem: path without a suffix; missing folders are made.

    Returns:
        Paths of the PNG and of the PDF.
    """
    path = Path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = (path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "pdf"))
    with paper_style():
        with atomic_write(png) as file:
            figure.savefig(file, format="png")
        layout = figure.get_layout_engine()
        figure.set_layout_engine("none")  # the PDF has the places that the PNG's layout found
        with atomic_write(pdf) as file:
            figure.savefig(file, format="pdf", metadata={"CreationDate": None})
        figure.set_layout_engine(layout)
    return png, pdf
