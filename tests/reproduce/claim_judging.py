"""Estimates by hand, and claims judged as the report does."""

from __future__ import annotations

from typing import Any

from lit_entropy.reproduce.book import CLAIMS
from lit_entropy.reproduce.entries import Claim, Judgement

YES, NO, OPEN = "reproduced", "not reproduced", "not testable at this scale"


def est(mean: float | None, half_width: float | None = None, **more: Any) -> dict[str, Any]:
    """An estimate over seeds; of one seed without a half width."""
    return {"values": [mean], "mean": mean, "half_width": half_width, **more}


def coefficient(mean: float, low: float | None, high: float | None) -> dict[str, Any]:
    """A coefficient of the law with the bounds of its interval."""
    return est(mean) | {"low": low, "high": high}


def claim(figure: str, number: int = 0) -> Claim:
    return CLAIMS[figure][number]


def judged(figure: str, measures: dict[str, Any], number: int = 0) -> Judgement:
    return claim(figure, number).judge(measures)


def verdict(figure: str, measures: dict[str, Any], number: int = 0) -> str:
    return judged(figure, measures, number).verdict
