"""A figure of the report in one piece: its runs, numbers, picture, and the paper's claims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from matplotlib.figure import Figure

from lit_entropy.figures.cells import LAW, Cell
from lit_entropy.figures.estimates import by_seed
from lit_entropy.figures.runs import Run, by_label, mathematics
from lit_entropy.figures.verdicts import Decision, Verdict

#: First words of what stands for a verdict where the runs fall short of the plan.
NOT_JUDGED = "not judged"
#: What a figure measures: a record of its own, or records by label.
M = TypeVar("M")


class Judgement(NamedTuple):
    """What a claim came to: what the intervals say of it, and our numbers as text."""

    decision: Decision
    numbers: str

    @property
    def verdict(self) -> Verdict:
        """The decision in one word."""
        return self.decision.verdict

    @property
    def measured(self) -> str:
        """The numbers, and for an undecided claim how many seeds would decide it."""
        return "; ".join(part for part in (self.numbers, self.decision.remedy) if part)


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


class Plan(NamedTuple):
    """What a verdict needs of every setting that it rests on.

    ``first_seed`` is the first of the seeds that ``reproduce`` trains: seeds that a setting was
    tried or tuned with judge nothing.
    """

    seeds: int
    steps: int  # RL steps
    first_seed: int = 0


#: Planned for the paper's claims; below it nothing is judged.
PLANNED = Plan(seeds=3, steps=100)


def shortfall(runs: Sequence[Run], plan: Plan | None = None) -> str:
    """What the runs lack of the plan, ``2 of 3 seeds, 7 of 100 RL steps`` say; else nothing.

    The setting with the fewest seeds counts, and the shortest run.
    """
    plan = PLANNED if plan is None else plan
    seeds: dict[tuple[str, float | None], set[int]] = {}
    for run in runs:
        seeds.setdefault((run.label, run.x), set()).add(run.seed)
    fewest = min(len(each) for each in seeds.values())
    shortest = min(float(np.nanmax(run.history["step"])) for run in runs)
    parts = [f"{fewest} of {plan.seeds} seeds"] if fewest < plan.seeds else []
    parts += [f"{shortest:g} of {plan.steps} RL steps"] if shortest < plan.steps else []
    return ", ".join(parts)


def one_setting(group: Sequence[Run]) -> None:
    """That the runs of one label may be averaged: they differ in the seed alone.

    Raises:
        ValueError: a swept number differs, or two runs have one seed.
    """
    if len(found := sorted({run.x for run in group if run.x is not None})) > 1:
        raise ValueError(
            f"label {group[0].label!r} has runs of {', '.join(f'{x:g}' for x in found)}: give each "
            "of these settings its label, --labels"
        )
    by_seed(group, lambda run: float(run.seed))  # refuses two of one seed


class Table(NamedTuple):
    """A small table of the report."""

    header: list[str]
    rows: list[list[str]]


def _no_tables(measures: object) -> list[Table]:
    return []


@dataclass(frozen=True)
class Overlay:
    """A figure of any labels, each a curve of its own.

    Attributes:
        measure: The numbers of the runs of one label. A label that it refuses (ValueError) is left
            out of the figure, which says why.
        draw: From the runs of the labels that are left to the figure.
        fewest: Labels below which there is nothing to compare.
        tables: Tables of the report, from those runs.
    """

    measure: Callable[[Sequence[Run]], object]
    draw: Callable[[Sequence[Run]], Figure]
    fewest: int = 1
    tables: Callable[[Sequence[Run]], list[Table]] = _no_tables

    def split(self, runs: Sequence[Run]) -> tuple[dict[str, object], dict[str, str]]:
        """What each label measures, and why others are left out."""
        measured, left_out = {}, {}
        for label, group in by_label(runs).items():
            try:
                one_setting(group)
                measured[label] = self.measure(group)
            except ValueError as error:
                left_out[label] = str(error)
        return measured, left_out


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
        overlay: The same figure for runs of any labels; None for one that is about those named.
        labels: The labels that it is about; by default those of its cells.
        plan: What its verdicts need; by default what the paper's claims do.
    """

    key: str
    name: str
    title: str
    caption: str
    measure: Callable[[Sequence[Run]], M]
    draw: Callable[[Sequence[Run]], Figure]
    claims: tuple[Claim[M], ...]
    cells: tuple[Cell, ...] = (LAW,)
    select: Callable[[Sequence[Run]], list[Run]] = mathematics
    tables: Callable[[M], list[Table]] = _no_tables
    overlay: Overlay | None = None
    labels: tuple[str, ...] = ()
    plan: Plan | None = None

    @property
    def about(self) -> set[str]:
        """The labels that it is about."""
        return set(self.labels or (cell.label for cell in self.cells))

    def check(self, runs: Sequence[Run]) -> None:
        """That labels are of one setting each, where any label may be drawn.

        Raises:
            ValueError: as :func:`one_setting`.
        """
        if self.overlay is not None:
            for group in by_label(runs).values():
                one_setting(group)


#: One of many, each of which measures something else.
AnyEntry = Entry[Any]
SEEDS = "Seeds thin, mean thick; from 3 seeds on a 95 % t interval as a band."
