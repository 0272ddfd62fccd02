"""One look for every figure: sizes in inches as printed, and one fixed colour a method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

#: Width of a figure over both columns, inches.
FULL_WIDTH = 7.0

#: Palette of Okabe and Ito (2008), made for colour-blind readers.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#7F7F7F"

#: The colour of a method is the same in every figure.
METHOD_COLOURS: dict[str, str] = {
    "GRPO": BLACK,
    "clip-higher": SKY,
    "Clip-Cov": ORANGE,
    "KL-Cov": BLUE,
    "entropy bonus": GREEN,
    "reference KL": RED,
    "policy gradient": PURPLE,
    "other": GREY,
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


@contextmanager
def paper_style() -> Iterator[None]:
    """The shared settings, for the duration of a block only."""
    with matplotlib.rc_context(RC):
        yield
