"""Estimates by hand, and claims judged as the report does."""

from __future__ import annotations

from typing import TypeVar

from lit_entropy.figures.coefficients import Coefficient
from lit_entropy.figures.entries import Claim, Judgement
from lit_entropy.figures.estimates import Estimate
from lit_entropy.reproduce.book import ENTRIES

YES, NO, OPEN, UNDECIDED = (
    "reproduced",
    "contradicted",
    "not testable at this scale",
    "undecided",
)
T = TypeVar("T")


def some(kind: type[T], **fields: object) -> T:
    """A record with those of its fields alone that a judge is to read."""
    unknown = fields.keys() - kind.__dataclass_fields__.keys()
    assert not unknown, unknown
    record = object.__new__(kind)
    vars(record).update(fields)
    return record


def est(mean: float, half_width: float | None = None) -> Estimate:
    """An estimate over three seeds; of one seed without a half width."""
    return Estimate([mean] * (1 if half_width is None else 3), mean, half_width)


def coefficient(mean: float, half_width: float | None = None) -> Coefficient:
    """A coefficient of the law with half the width of its interval."""
    return Coefficient([mean], mean, half_width)


def claim(figure: str, number: int = 0) -> Claim:
    return next(entry for entry in ENTRIES if entry.key == figure).claims[number]


def judged(figure: str, measures: object, number: int = 0) -> Judgement:
    return claim(figure, number).judge(measures)


def verdict(figure: str, measures: object, number: int = 0) -> str:
    return judged(figure, measures, number).verdict
