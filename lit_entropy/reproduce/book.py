"""Every figure of the paper in the order of the report."""

from lit_entropy.figures.by_difficulty import TABLE_2
from lit_entropy.figures.collapse import FIGURE_1
from lit_entropy.figures.comparison import FIGURE_6, FIGURE_13
from lit_entropy.figures.control import FIGURE_9, FIGURE_10
from lit_entropy.figures.controls import CONTROLS
from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.discovery_easier import EASIER
from lit_entropy.figures.dynamics import FIGURE_8
from lit_entropy.figures.entries import AnyEntry
from lit_entropy.figures.forecast import FIGURE_5, FIGURE_5B
from lit_entropy.figures.front import FRONT
from lit_entropy.figures.ladder import FIGURE_7
from lit_entropy.figures.law import FIGURE_3, FIGURE_4
from lit_entropy.figures.matching import SECTION_3
from lit_entropy.figures.methods import FIGURE_11
from lit_entropy.figures.spending import FIGURE_2
from lit_entropy.figures.steering import FIGURE_12
from lit_entropy.figures.tail import TABLE_1
from lit_entropy.laboratory.entry import ANATOMY

ENTRIES: tuple[AnyEntry, ...] = (
    FRONT,
    FIGURE_1, FIGURE_2, FIGURE_3, FIGURE_4, FIGURE_5, FIGURE_5B, FIGURE_6, FIGURE_7, FIGURE_8,
    SECTION_3, ANATOMY, TABLE_1, FIGURE_9, FIGURE_10, FIGURE_11, DISCOVERY, EASIER, FIGURE_12,
    TABLE_2, FIGURE_13, CONTROLS,
)  # fmt: skip
