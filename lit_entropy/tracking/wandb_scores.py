"""The standard errors and the scores by difficulty of a validation, as one table for W&B."""

import re
from collections.abc import Mapping
from typing import NamedTuple

COLUMNS: list[str | int] = ["score", "difficulty", "value", "standard error"]
_KEY = re.compile(r"((?:val|test)/.+?)(_se)?(?:/difficulty_([^/]+))?")


class Split(NamedTuple):
    """The metrics of a call, told apart.

    Attributes:
        panels: what is a curve in the workspace.
        rows: of the table, as ``COLUMNS``; the difficulty is ``all`` for the score over all
            problems. Empty without a standard error or a difficulty.
    """

    panels: dict[str, object]
    rows: list[list[object]]


def split_scores(metrics: Mapping[str, object]) -> Split:
    """Take ``val/<score>_se`` and ``val/<score>/difficulty_<d>`` out of the metrics.

    Args:
        metrics: as logged; a score over all problems stays a panel and is in the table as well.
    """
    found: dict[tuple[str, str], list[object]] = {}
    panels: dict[str, object] = {}
    for key, value in metrics.items():
        match = _KEY.fullmatch(key)
        if match is None:
            panels[key] = value
            continue
        score, error, difficulty = match.groups()
        if error is None and difficulty is None:
            panels[key] = value
        cell = found.setdefault((score, difficulty or "all"), [None, None])
        cell[0 if error is None else 1] = value
    split = {score for (score, level), (_, error) in found.items() if error or level != "all"}
    rows = [
        [score, level, *cell]
        for (score, level), cell in sorted(found.items(), key=lambda item: _order(*item[0]))
        if score in split
    ]
    return Split(panels, rows)


def _order(score: str, level: str) -> tuple[str, bool, float, str]:
    """Scores by name; of each first all problems, then difficulties as numbers."""
    number = float(level) if re.fullmatch(r"-?\d+(\.\d+)?", level) else 0.0
    return score, level != "all", number, level
