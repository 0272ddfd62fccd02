"""What judgements need of estimates over seeds: their bounds, and percent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_entropy.figures.as_text import show


def lower(estimate: Mapping[str, Any]) -> float | None:
    """Lower bound of the 95 % interval; None for a single seed."""
    half = estimate["half_width"]
    return None if half is None else estimate["mean"] - half


def positive(*estimates: Mapping[str, Any] | None) -> bool | None:
    """Whether every interval lies above 0; None where one has no interval."""
    bounds = [None if estimate is None else lower(estimate) for estimate in estimates]
    if any(bound is None for bound in bounds):
        return None
    return all(bound > 0 for bound in bounds if bound is not None)


def defined(estimate: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The estimate; None where a seed has no such number, R² of equal accuracies say."""
    return None if estimate["mean"] is None else estimate


def percent(estimate: Mapping[str, Any] | None, digits: int = 0, signed: bool = False) -> str:
    """A fraction as percent with its interval: ``94 ± 3 %``."""
    if estimate is None:
        return show(None)
    scaled = {
        "mean": 100 * estimate["mean"],
        "half_width": None if estimate["half_width"] is None else 100 * estimate["half_width"],
    }
    return f"{show(scaled, digits, signed)} %"


def points(difference: Mapping[str, Any] | None) -> str:
    """A difference of fractions in percentage points: ``+1.8 ± 0.3 points``."""
    return percent(difference, 1, signed=True).replace(" %", " points")
