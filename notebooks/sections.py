"""Figures of a reproduction inside a notebook: the picture, its numbers, the verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from IPython.display import Markdown, display

from lit_entropy.figures.as_text import markdown
from lit_entropy.figures.runs import Run
from lit_entropy.reproduce.book import ENTRIES

COLUMNS = ("claim", "paper", "measured", "rule", "verdict")


def show(figure: str, runs: Sequence[Run]) -> None:
    """Display a figure of the report and its tables, or what the runs lack for it.

    Args:
        figure: its key, ``1`` or ``table-2`` say.
        runs: its runs; those of other models or tasks are left out as in the report.
    """
    entry = next(entry for entry in ENTRIES if entry.key == figure)
    display(Markdown(f"**{entry.name}. {entry.title}.** {entry.caption}"))
    try:
        selected = entry.select(runs)
        measures, picture = entry.measure(selected), entry.draw(selected)
    except ValueError as error:  # runs that are too short for this figure, as smoke's may be
        display(Markdown(f"*Not drawn: {error}*"))
        return
    display(picture)
    for header, rows in entry.tables(measures):
        display(Markdown(markdown(header, rows)))


def show_verdicts(report: Path) -> None:
    """Display the paper's claims about the figures of a report, each with its verdict.

    Args:
        report: the page that ``reproduce`` returned; its data lie beside it as JSON.
    """
    figures = json.loads(report.with_suffix(".json").read_text())["figures"]
    rows = [
        [figure["name"], *(claim[column] for column in COLUMNS)]
        for figure in figures.values()
        for claim in figure["claims"]
    ]
    display(Markdown(markdown(["figure", *COLUMNS], rows)))
