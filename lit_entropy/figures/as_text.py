"""Estimates and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from lit_entropy.figures.estimates import Estimate, show


def show_percent(value: Estimate | None, signed: bool = False) -> str:
    """``show`` of 100 times an estimate, with one digit: ``79.0 ± 4.5``."""
    if value is None:
        return show(None)
    width = value["half_width"]
    percent = {"mean": 100 * value["mean"], "half_width": None if width is None else 100 * width}
    return show(percent, 1, signed)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
