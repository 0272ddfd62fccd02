"""Reports made from known answers, shared by the tests of the validation package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lit_entropy.evaluation.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.records import add_greedy, add_samples, start_record
from lit_entropy.evaluation.report.report import policy_report, validation_report
from lit_entropy.functional.answer_entropy import NO_ANSWER
from lit_entropy.types import Problem

#: n = 4 samples a problem of ``aime``; ``math`` is decoded greedily.
PLAN = Evaluation(samples=0, pass_k=(2,), cover_tau=(0.5,), sets={"aime": SetSampling(4)})


def response(letter: str) -> dict[str, Any]:
    """``r`` right, ``w`` and ``v`` two wrong answers, ``-`` no answer, ``?`` unchecked."""
    answer = {"r": 1, "w": 2, "v": 3, "-": NO_ANSWER, "?": 1}[letter]
    found = {"correct": letter == "r", "checked": letter != "?", "answer": answer}
    return found | {"length": 5, "entropy": 2.0, "truncated": letter == "-"}


def sampled(number: int, letters: str, source: str = "aime") -> dict[str, Any]:
    """The record of a problem with one sample a letter."""
    record = start_record(Problem(number, f"sum {number}", "1", 0, source))
    add_samples(record, [response(letter) for letter in letters])
    return record | {"sample": {"response": "a"}}


def greedy(number: int, letter: str, source: str = "math") -> dict[str, Any]:
    """The record of a problem that was decoded greedily."""
    record = start_record(Problem(number, f"sum {number}", "1", 0, source))
    add_greedy(record, response(letter))
    return record | {"sample": {"response": "a"}}


def records(aime: Sequence[str], math: str) -> list[dict[str, Any]]:
    """Records of both sets."""
    found = [sampled(number, letters) for number, letters in enumerate(aime)]
    return found + [greedy(number, letter) for number, letter in enumerate(math)]


def report(plan: Evaluation = PLAN, **policies: list[dict[str, Any]]) -> dict[str, Any]:
    """A report of policies, given by their records."""
    parts = [policy_report(name, None, 0, own, plan) for name, own in policies.items()]
    return validation_report(parts, next(iter(policies.values())), plan, max_new_tokens=64)
