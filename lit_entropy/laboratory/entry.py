"""The anatomy of the theorems as a figure of the report: its runs, numbers, picture and claims."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from lit_entropy.figures.entries import Entry, Table
from lit_entropy.figures.estimates import MissingRunsError
from lit_entropy.figures.runs import Run, by_label, exact
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.claims import CLAIMS
from lit_entropy.laboratory.figure import anatomy_figure
from lit_entropy.laboratory.measure import Dissected, States, measure_law, measure_rows
from lit_entropy.laboratory.table import law_table, rows_table


def measure_anatomy(runs: Sequence[Run]) -> Dissected:
    """Every row that has runs, and the law.

    Raises:
        ValueError: no run of a cell of the rules, or one without its states.
    """
    law = by_label(runs).get(rules.LAW, [])
    rows = measure_rows(rules.ROWS, states_by_cell(runs))
    return Dissected(
        tuple(rows),
        measure_law([run.history for run in law], [run.states for run in law]) if law else None,
    )


def states_by_cell(runs: Sequence[Run]) -> dict[str, dict[int, States]]:
    """The states of runs by label and seed.

    Raises:
        MissingRunsError: no run of a cell of the rules.
        ValueError: a run has no states.
    """
    known = {cell.label for cell in rules.CELLS}
    own = [run for run in runs if run.label in known]
    if not own:
        raise MissingRunsError(f"no run has a label of {sorted(known)}")
    if without := [run.name for run in own if not run.states]:
        raise ValueError(f"runs {without} have no states: train them with TheoremCheck")
    return {
        label: {run.seed: run.states for run in group} for label, group in by_label(own).items()
    }


def draw_anatomy(runs: Sequence[Run]) -> Figure:
    """Pairs of some rows above, agreement of every row below."""
    states = states_by_cell(runs)
    measured = measure_rows(rules.ROWS, states)
    shown = [row for row in rules.SHOWN if row.condition in states]
    if len(shown) < len(rules.SHOWN):
        lacking = sorted({row.condition for row in rules.SHOWN} - states.keys())
        raise MissingRunsError(f"no run has a label of {lacking}")
    return anatomy_figure(measured, shown, states)


def _tables(found: Dissected) -> list[Table]:
    return [rows_table(found.rows), *([] if found.law is None else [law_table(found.law)])]


ANATOMY = Entry(
    "anatomy", "Anatomy", "The theorems where they are proved, and with one assumption given up",
    "Above, one point per state and RL step: realised against predicted change of entropy. Below, "
    "the agreement of every row. R² is the squared correlation, which knows neither sign nor size: "
    "seeds that are opposed (correlation or slope below 0) are counted beside it, and the R² of a "
    "row that has some is hollow. A softmax table, 8 training and 8 held-out prompts, 18 actions.",
    measure_anatomy, draw_anatomy, CLAIMS, rules.CELLS, exact, _tables, plan=rules.PLAN,
)  # fmt: skip
