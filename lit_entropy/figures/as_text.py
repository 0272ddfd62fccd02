"""Estimates and tables as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lit_entropy.figures.estimates import Estimate


def show(value: Mapping[str, Any] | None, digits: int = 3, signed: bool = False) -> str:
    """An estimate as text: ``0.790 ± 0.045``, without the interval for one seed; n/a for None."""
    if value is None:
        return "n/a"
    mean = f"{value['mean']:{'+' if signed else ''}.{digits}f}"
    half_width = value["half_width"]
    return mean if half_width is None else f"{mean} ± {half_width:.{digits}f}"


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
