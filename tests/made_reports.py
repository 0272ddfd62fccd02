"""Reports made from known answers, shared by the tests of the validation package."""

from __future__ import annotations

from collections.abc import Sequence

from lit_entropy.evaluation.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.records import Record, Response, Shown, make_record
from lit_entropy.evaluation.report.records import Report
from lit_entropy.evaluation.report.report import policy_report, validation_report
from lit_entropy.functional.answer_entropy import NO_ANSWER
from lit_entropy.types import Problem

#: n = 4 samples per problem of ``aime``; ``math`` is decoded greedily.
EVALUATION = Evaluation(samples=0, pass_k=(2,), cover_tau=(0.5,), sets={"aime": SetSampling(4)})


#: A response in full, which reports leave out.
SHOWN = Shown("a", 1.0, True, "b", 0)


def response(letter: str) -> Response:
    """``r`` right, ``w`` and ``v`` two wrong answers, ``-`` no answer, ``?`` unchecked."""
    answer = {"r": 1, "w": 2, "v": 3, "-": NO_ANSWER, "?": 1}[letter]
    reward = None if letter == "?" else float(letter == "r")
    return Response([], "", reward, letter == "r", 5, letter == "-", 2.0, answer)


def sampled(number: int, letters: str, source: str = "aime") -> Record:
    """The record of a problem with one sample per letter."""
    problem = Problem(number, f"sum {number}", "1", 0, source)
    return make_record(problem, None, [response(letter) for letter in letters], SHOWN)


def greedy(number: int, letter: str, source: str = "math") -> Record:
    """The record of a problem that was decoded greedily."""
    problem = Problem(number, f"sum {number}", "1", 0, source)
    return make_record(problem, response(letter), (), SHOWN)


def records(aime: Sequence[str], math: str) -> list[Record]:
    """Records of both sets."""
    found = [sampled(number, letters) for number, letters in enumerate(aime)]
    return found + [greedy(number, letter) for number, letter in enumerate(math)]


def report(evaluation: Evaluation = EVALUATION, **policies: list[Record]) -> Report:
    """A report of policies, given by their records."""
    parts = [policy_report(name, None, 0, own, evaluation) for name, own in policies.items()]
    return validation_report(parts, evaluation, max_new_tokens=64)
