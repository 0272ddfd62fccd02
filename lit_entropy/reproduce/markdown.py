"""The claims on every rung as Markdown: verdicts at a glance, then rules and numbers by figure."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from lit_entropy.reproduce.rungs import COLUMNS, Cell, Row, count_standings

#: Columns as the tables name them.
TITLES = tuple(title.removeprefix("rung ") for title in COLUMNS)


def claims_as_markdown(rows: Sequence[Row]) -> str:
    """A sentence that counts, a table of verdicts, and the numbers of each figure that has any.

    Args:
        rows: in the order of the report.
    """
    glance = ([row.figure, row.claim, *map(_word, row.cells)] for row in rows)
    parts = [count_standings(rows), _table(["", "claim", *TITLES], glance)]
    for figure, group in groupby(rows, lambda row: row.figure):
        numbers = [line for row in group for line in _numbers(row)]
        if numbers:
            parts.append(f"## {figure}")
            parts.append(_table(["claim, and *its rule*", "rung", "here", "verdict"], numbers))
    return "\n\n".join(parts) + "\n"


def _numbers(row: Row) -> list[list[str]]:
    """A line for each rung that has a verdict, or too few runs for one."""
    claim = f"{row.claim} *{row.rule}*"
    if row.rests_on:
        claim += f" Rests on (R² that giving it up costs on the table): {row.rests_on}"
    lines: list[list[str]] = []
    for title, cell in zip(TITLES, row.cells, strict=True):
        if cell.verdict:
            lines.append(["" if lines else claim, title, cell.text, cell.verdict])
    return lines


def _word(cell: Cell) -> str:
    """The verdict without what the runs lack."""
    return cell.verdict.partition(":")[0]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [[cell.replace("|", r"\|") for cell in line] for line in (head, *lines)]
    rows.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
