"""Estimates and tables as text."""

import math
from collections.abc import Sequence

from lit_entropy.figures.estimates import Estimate

NOTHING = "n/a"


def show(
    value: Estimate | None,
    digits: int = 3,
    signed: bool = False,
    scale: float = 1.0,
) -> str:
    """An estimate as text: ``0.790 ± 0.045``, without the interval for fewer than 3 seeds; n/a for
    None.

    An estimate that a seed does not define, R² of equal accuracies say, is n/a too.
    """
    if value is None or not math.isfinite(value.mean):
        return NOTHING
    mean = f"{scale * value.mean:{'+' if signed else ''}.{digits}f}"
    if value.half_width is None:
        return mean
    return f"{mean} ± {scale * value.half_width:.{digits}f}"


def show_percent(value: Estimate | None) -> str:
    """``show`` of 100 times an estimate, with one digit: ``79.0 ± 4.5``."""
    return show(value, 1, scale=100)


def percent(value: Estimate | None, digits: int = 0, signed: bool = False, unit: str = "%") -> str:
    """A fraction as percent with its interval: ``94 ± 3 %``."""
    text = show(value, digits, signed, 100)
    return text if text == NOTHING else f"{text} {unit}"


def points(difference: Estimate | None) -> str:
    """A difference of fractions in percentage points: ``+1.8 ± 0.3 points``."""
    return percent(difference, 1, signed=True, unit="points")


def opposed(count: int, seeds: int) -> str:
    """What follows R² where the change of some seeds runs against its prediction."""
    return f" ({count} of {seeds} opposed)" if count else ""


def short(count: float) -> str:
    """A number of parameters as printed: ``24.6 k``, ``1.6 M``, ``7 B``."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
