"""The parts of a report: a figure, the paper's claims about it, and how each is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from matplotlib.figure import Figure

from lit_entropy.figures.runs import Run

Verdict = Literal["reproduced", "not reproduced", "not testable at this scale"]
Measures = dict[str, Any]


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
class Claim:
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
    judge: Callable[[Measures], Judgement]


class Table(NamedTuple):
    """A small table of the report."""

    header: list[str]
    rows: list[list[str]]


def _no_tables(measures: Measures) -> list[Table]:
    return []


@dataclass(frozen=True)
class Entry:
    """One figure or table of the paper.

    Attributes:
        key: As in ``--figures``.
        name: As in the paper.
        title: What it shows.
        caption: How to read it here.
        draw: From runs to the figure.
        measure: From runs to the numbers that the figure shows.
        select: The runs that belong to it, of all that there are.
        tables: Tables of the report, from the numbers.
    """

    key: str
    name: str
    title: str
    caption: str
    draw: Callable[[Sequence[Run]], Figure]
    measure: Callable[[Sequence[Run]], Measures]
    select: Callable[[Sequence[Run]], list[Run]]
    tables: Callable[[Measures], list[Table]] = _no_tables
