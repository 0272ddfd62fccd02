"""A figure of the report in one piece: its runs, numbers, picture, and the paper's claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from matplotlib.figure import Figure

from lit_entropy.figures.cells import GRPO, Cell
from lit_entropy.figures.runs import Run, mathematics

Verdict = Literal["reproduced", "not reproduced", "not testable at this scale"]
#: What a figure measures: a record of its own, or records by label.
M = TypeVar("M")


class Judgement(NamedTuple):
    """What a claim came to: True or False, None where this scale cannot tell; and our number."""

    holds: bool | None
    measured: str

    @property
    def verdict(self) -> Verdict:
        """The judgement in the report's words."""
        if self.holds is None:
            return "not testable at this scale"
        return "reproduced" if self.holds else "not reproduced"


@dataclass(frozen=True)
class Claim(Generic[M]):
    """One statement of the paper and the rule by which it is judged, whatever the runs show.

    Attributes:
        claim: The statement in words.
        paper: The paper's own figure.
        rule: When it counts as reproduced.
        judge: From what a figure shows to the judgement.
    """

    claim: str
    paper: str
    rule: str
    judge: Callable[[M], Judgement]


class Table(NamedTuple):
    """A small table of the report."""

    header: list[str]
    rows: list[list[str]]


def _no_tables(measures: object) -> list[Table]:
    return []


@dataclass(frozen=True)
class Entry(Generic[M]):
    """One figure or table of the paper.

    Attributes:
        key: As in ``--figures``.
        name: As in the paper.
        title: What it shows.
        caption: How to read it here.
        measure: From runs to the numbers that the figure shows.
        draw: From runs to the figure; takes and raises as ``measure``.
        claims: The paper's statements about it.
        cells: What ``reproduce`` trains for it.
        select: The runs that belong to it, of all that there are.
        tables: Tables of the report, from the numbers.
    """

    key: str
    name: str
    title: str
    caption: str
    measure: Callable[[Sequence[Run]], M]
    draw: Callable[[Sequence[Run]], Figure]
    claims: tuple[Claim[M], ...]
    cells: tuple[Cell, ...] = (GRPO,)
    select: Callable[[Sequence[Run]], list[Run]] = mathematics
    tables: Callable[[M], list[Table]] = _no_tables


#: One of many, each of which measures something else.
AnyEntry = Entry[Any]
SEEDS = "Seeds thin, mean thick, 95 % t interval as a band."
