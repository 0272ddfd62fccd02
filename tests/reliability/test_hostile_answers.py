"""A thousand hostile answers through every checker: none is executed, each check is bounded."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hostile import Outcome, attack, hostile_answers

from lit_entropy.verify import (
    AnswerChecker,
    ChoiceChecker,
    CountdownChecker,
    KnightsChecker,
    MathChecker,
    NumberChecker,
)
from lit_entropy.verify.answers import AnswerStyle
from lit_entropy.verify.jail import CLOCK_FACTOR, START_SECONDS

PLAIN: list[tuple[AnswerChecker, str]] = [
    *((NumberChecker(style), "12.5") for style in get_args(AnswerStyle)),
    (ChoiceChecker(), "C"),
    (CountdownChecker(), "44;19;35=98"),
    (KnightsChecker(), "Zoey is a knave, Oliver is a knight"),
]
#: Processor seconds of a check in the jail.
LIMIT = 1.0


def in_the_jail(count: int, folder: Path) -> Outcome:
    """Answers through math-verify, in both of its ways to look for an answer."""
    checkers = [MathChecker(LIMIT), MathChecker(LIMIT, extraction="anywhere")]
    try:
        pairs = [(checker, r"\frac{1}{2}") for checker in checkers]
        return attack(pairs, count, folder, 2 * CLOCK_FACTOR * LIMIT + START_SECONDS)
    finally:
        for checker in checkers:
            checker.close()


def test_a_thousand_answers_through_the_plain_checkers(tmp_path: Path) -> None:
    outcome = attack(PLAIN, 1000, tmp_path, longest=3.0)
    print(outcome)
    assert (outcome.answers, outcome.checks) == (1000, 7000)
    assert (outcome.executed, outcome.unbounded, outcome.unchecked) == (0, 0, 0)


def test_some_through_the_jail(tmp_path: Path) -> None:
    outcome = in_the_jail(40, tmp_path)
    print(outcome)
    assert (outcome.answers, outcome.checks) == (40, 80)
    assert (outcome.executed, outcome.unbounded) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_thousand_through_the_jail(tmp_path: Path) -> None:
    outcome = in_the_jail(1000, tmp_path)
    print(outcome)
    assert (outcome.answers, outcome.checks) == (1000, 2000)
    assert (outcome.executed, outcome.unbounded) == (0, 0)


class Careless(AnswerChecker):
    """Evaluates programs that it is given, as no checker may.

    Not powers of powers, which are another attack: this process would never work them out.
    """

    def check_gold(self, answer: str) -> str | None:
        return None

    def check(self, answer: str, response: str) -> bool:
        if "open(" not in response or "**" in response:
            return False
        try:
            return bool(eval(response))
        except Exception:
            return False

    def answer_of(self, response: str) -> str | None:
        return None


def test_the_attack_finds_a_checker_that_executes(tmp_path: Path) -> None:
    outcome = attack([(Careless(), "1")], 60, tmp_path, longest=60.0, seed=3)
    assert outcome.executed > 0 and outcome.checks == 60


def test_answers_are_different_and_the_same_every_time(tmp_path: Path) -> None:
    first = list(hostile_answers(300, tmp_path / "x"))
    assert len(set(first)) == 300 and first == list(hostile_answers(300, tmp_path / "x"))
    assert first != list(hostile_answers(300, tmp_path / "x", seed=1))
