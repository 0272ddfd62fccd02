"""The table claim by rung: one claim on the exact table, on tiny tasks, on a language model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.dynamics import stays_positive
from lit_entropy.figures.entries import NOT_JUDGED, AnyEntry, Claim, Judgement, Plan, shortfall
from lit_entropy.figures.law import fits
from lit_entropy.figures.matching import foretells
from lit_entropy.figures.runs import CODE_TASK, EXPLORATION_TASK, Run
from lit_entropy.figures.verdicts import NOT_TESTABLE
from lit_entropy.laboratory.read import Anatomy

TABLE = "rung 0: softmax table"
LANGUAGE_MODEL = "SmolLM2-135M"


@dataclass(frozen=True)
class Rung:
    """Runs on which claims are judged alike.

    Attributes:
        title: of the column.
        task: class of the task; empty for any.
        model: part of the model's name that only its runs have; empty for every other model.
        plan: what verdicts need of the runs; None for that of the claim's figure.
    """

    title: str
    task: str = ""
    model: str = ""
    plan: Plan | None = None

    def holds(self, run: Run) -> bool:
        """Whether a run belongs to it."""
        of_language_model = LANGUAGE_MODEL in str(run.facts.get("model", ""))
        if of_language_model or self.model:
            return of_language_model and bool(self.model)
        return run.facts.get("task") == self.task


RUNGS = (
    Rung("rung 1: strategy discovery", EXPLORATION_TASK, plan=DISCOVERY.plan),
    Rung("rung 1: chain arithmetic", "ChainArithmetic"),
    Rung("rung 1: countdown", CODE_TASK),
    Rung(f"rung 2: {LANGUAGE_MODEL}", model=LANGUAGE_MODEL),
)
COLUMNS = (TABLE, *(rung.title for rung in RUNGS))


@dataclass(frozen=True)
class Cell:
    """A claim on a rung.

    Attributes:
        verdict: by interval; or that it is not judged, and what the runs lack; empty where the
            claim cannot be judged on this rung.
        text: the numbers with their intervals, or why there is no verdict.
    """

    verdict: str
    text: str


@dataclass(frozen=True)
class Row:
    """A claim on every rung, in the order of :data:`COLUMNS`."""

    figure: str
    claim: str
    rule: str
    cells: list[Cell]


def claim_by_rung(
    figures: Sequence[AnyEntry], runs: Sequence[Run], anatomy: Anatomy | None
) -> list[Row]:
    """Judge every claim on every rung, by one rule.

    Args:
        figures: entries of the report. A claim that is another's on a second task, with its rule,
            has no row of its own.
        runs: of all rungs but the table.
        anatomy: of the table; its column is empty without it.
    """
    by_rung = [[run for run in runs if rung.holds(run)] for rung in RUNGS]
    rows, seen = [], set[tuple[object, str]]()
    for entry in figures:
        columns = [_judged(entry, rung, own) for rung, own in zip(RUNGS, by_rung, strict=True)]
        for number, claim in enumerate(entry.claims):
            same = {(claim.claim, claim.rule), (claim.judge, claim.rule)}
            if not same & seen:
                cells = [on_the_table(entry, number, anatomy), *(each[number] for each in columns)]
                rows.append(Row(entry.name, claim.claim, claim.rule, cells))
            seen |= same
    return rows


def _judged(entry: AnyEntry, rung: Rung, runs: Sequence[Run]) -> list[Cell]:
    """Every claim of a figure on the runs of one rung.

    Where the rung has runs of the figure's own settings, those alone count: points of another
    figure's sweep have their labels.
    """
    names = {cell.name for cell in entry.cells}
    runs = [run for run in runs if run.name.rpartition("-seed")[0] in names] or runs
    own = [run for run in entry.select(runs) if run.label in entry.about] if runs else []
    if not own:
        reason = f"no run that it needs ({', '.join(sorted(entry.about))})" if runs else "no run"
        return [Cell("", reason)] * len(entry.claims)
    try:
        measures = entry.measure(own)
    except ValueError as error:
        return [Cell("", str(error))] * len(entry.claims)
    lacking = shortfall(own, rung.plan or entry.plan)
    return [_cell(claim, measures, lacking) for claim in entry.claims]


def _cell(claim: Claim[object], measures: object, lacking: str) -> Cell:
    found = claim.judge(measures)
    return Cell(f"{NOT_JUDGED}: {lacking}" if lacking else found.verdict, found.measured)


def on_the_table(entry: AnyEntry, number: int, anatomy: Anatomy | None) -> Cell:
    """A claim on rung 0, from the anatomy."""
    judge = ON_THE_TABLE.get((entry.key, number))
    if judge is None:
        return Cell("", "not measured on the table")
    if anatomy is None:
        return Cell("", "no anatomy was given (--anatomy)")
    found = judge(anatomy)
    return Cell(found.verdict, found.measured)


def _law(anatomy: Anatomy) -> Judgement:
    if anatomy.law is None:
        return NO_LAW
    r2, a = anatomy.law["r2"], anatomy.law["a"]
    return Judgement(fits(r2, a), f"R² {show(r2, 4)}, a {show(a, 4)}")


def _positive(anatomy: Anatomy) -> Judgement:
    if anatomy.law is None:
        return NO_LAW
    share = anatomy.law["positive"]
    return Judgement(stays_positive(share), f"positive at {percent(share, 1)} of the RL steps")


def _theorem2(anatomy: Anatomy) -> Judgement:
    row = anatomy.rows.get(THEOREM2)
    if row is None:
        return Judgement(NOT_TESTABLE, "the natural gradient was not run")
    r2 = row["step_r2"]
    return Judgement(foretells(r2), f"R² of step means {show(r2, 5)}")


NO_LAW = Judgement(NOT_TESTABLE, "the runs of the law are not finished")
THEOREM2 = "none: Theorem 2, natural gradient"
#: Claims that the anatomy measures, by key of the figure and place in it.
ON_THE_TABLE: Mapping[tuple[str, int], Callable[[Anatomy], Judgement]] = {
    ("3", 0): _law,
    ("8", 0): _positive,
    ("dynamics", 1): _theorem2,
}
