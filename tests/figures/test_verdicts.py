"""Verdicts on intervals by hand, at their edges, and the seeds that would decide."""

from __future__ import annotations

import math

import pytest

from lit_entropy.figures.entries import Judgement
from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.verdicts import (
    NOT_TESTABLE,
    Decision,
    above,
    below,
    either,
    every,
    outside,
    seeds_to_decide,
    within,
)

YES, NO = Decision("reproduced"), Decision("contradicted")
OPEN = Decision("undecided", "reproduced", 7)
DOUBTFUL = Decision("undecided", "contradicted", 20)


def interval(low: float, high: float) -> Estimate:
    """Of three seeds."""
    mean = (low + high) / 2
    return Estimate([mean] * 3, mean, (high - low) / 2)


@pytest.mark.parametrize(
    "low, high, verdict",
    [
        (0.25, 0.75, "reproduced"),
        (0.0, 0.5, "undecided"),  # an end on the limit is on no side
        (-0.25, 0.75, "undecided"),
        (-0.75, 0.25, "undecided"),
        (-0.5, 0.0, "contradicted"),
        (-0.75, -0.25, "contradicted"),
        (0.0, 0.0, "contradicted"),  # no spread: 0 is not above 0
        (0.125, 0.125, "reproduced"),
    ],
)
def test_above_and_below_are_mirrored(low: float, high: float, verdict: str) -> None:
    assert above(interval(low, high), 0).verdict == verdict
    assert below(interval(-high, -low), 0).verdict == verdict
    assert above(interval(low + 3, high + 3), 3).verdict == verdict


@pytest.mark.parametrize(
    "low, high, verdict, leans",
    [
        (-0.5, 0.5, "reproduced", None),
        (-1.0, 0.5, "undecided", "reproduced"),
        (-2.0, 2.0, "undecided", "reproduced"),  # too wide to say anything
        (0.5, 2.5, "undecided", "contradicted"),
        (1.0, 2.0, "contradicted", None),
        (-3.0, -1.0, "contradicted", None),
    ],
)
def test_within_and_outside_are_opposites(
    low: float, high: float, verdict: str, leans: str | None
) -> None:
    opposite = {"reproduced": "contradicted", "contradicted": "reproduced"}
    found, other = within(interval(low, high), -1, 1), outside(interval(low, high), -1, 1)
    assert (found.verdict, found.leans) == (verdict, leans)
    assert other.verdict == opposite.get(verdict, verdict)
    assert other.leans == (leans and opposite[leans]) and other.seeds == found.seeds


@pytest.mark.parametrize(
    "value", [None, estimate([1.0, 2.0]), estimate([1.0, math.nan, 2.0])], ids=str
)
def test_without_an_interval_nothing_is_testable(value: Estimate | None) -> None:
    for decision in (above(value, 0), below(value, 0), within(value, -9, 9), outside(value, 0, 0)):
        assert decision == NOT_TESTABLE and decision.remedy == ""


@pytest.mark.parametrize(
    "parts, all_of, one_of",
    [
        ((YES, YES), YES, YES),
        ((YES, NO), NO, YES),
        ((NO, NO), NO, NO),
        ((YES, OPEN), OPEN, YES),
        ((NO, OPEN), NO, OPEN),
        ((YES, NOT_TESTABLE), NOT_TESTABLE, YES),
        ((NO, NOT_TESTABLE), NO, NOT_TESTABLE),
        ((OPEN, NOT_TESTABLE), NOT_TESTABLE, NOT_TESTABLE),
        ((), YES, NO),
        # all have to be settled for a yes; for a no the first that is
        ((OPEN, OPEN._replace(seeds=9)), OPEN._replace(seeds=9), OPEN),
        ((OPEN, OPEN._replace(seeds=None)), OPEN._replace(seeds=None), OPEN),
        ((OPEN, DOUBTFUL), DOUBTFUL, OPEN),
        ((DOUBTFUL, DOUBTFUL._replace(seeds=8)), DOUBTFUL._replace(seeds=8), DOUBTFUL),
    ],
)
def test_parts_together(parts: tuple[Decision, ...], all_of: Decision, one_of: Decision) -> None:
    assert every(*parts) == all_of and every(*parts[::-1]) == all_of
    assert either(*parts) == one_of and either(*parts[::-1]) == one_of


def test_seeds_that_would_decide_by_hand() -> None:
    """With deviation 1 and margin 1: t / sqrt(n) is 1.05 at 6 seeds and 0.92 at 7."""
    found = estimate([0.0, 1.0, 2.0])
    assert seeds_to_decide(found, 1.0) == 7
    assert seeds_to_decide(found, 2.49) == 3 and seeds_to_decide(found, 2.48) == 4
    assert seeds_to_decide(found, 0.1) == 387  # 1.9661 / sqrt(387) = 0.09994
    assert seeds_to_decide(found, 0.01) is None and seeds_to_decide(found, 0.0) is None
    assert seeds_to_decide(estimate([1.0]), 1.0) is None
    assert above(found, 0) == Decision("undecided", "reproduced", 7)
    assert below(found, 0) == Decision("undecided", "contradicted", 7)
    assert within(found, 0.9, 9) == Decision("undecided", "reproduced", 387)


def test_the_measured_text_says_what_would_decide() -> None:
    found = estimate([0.0, 1.0, 2.0])
    assert Judgement(above(found, 0), "1.0").measured == "1.0; about 7 seeds would decide"
    far = Judgement(above(found, 0.999), "1.0").measured
    assert far == "1.0; more than 1000 seeds would be needed to decide"
    assert Judgement(above(found, -9), "1.0").measured == "1.0"
    assert Judgement(NOT_TESTABLE, "no such run").measured == "no such run"
