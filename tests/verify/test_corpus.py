r"""Triples of reference answer, response and verdict in the notations that real sets use.

``answers.jsonl`` holds triples in the styles of MATH-500, AIME, AMC, GSM8K, OlympiadBench,
Minerva and multiple choice; no checker gave the verdicts. ``form`` says where the
answer stands: ``boxed``, ``marked`` (after ``####``), ``text`` or ``choice``; ``gold`` is a
reference answer that must be refused. A checker is judged on the forms that it reads, with the
reference answers that it accepts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from lit_entropy.verify import AnswerChecker, ChoiceChecker, MathChecker, NumberChecker

TRIPLES = [
    json.loads(line)
    for line in Path(__file__).with_name("answers.jsonl").read_text(encoding="utf-8").splitlines()
]


class Judged(NamedTuple):
    """A checker with the forms it reads, the triples of each verdict, and its errors by name."""

    checker: AnswerChecker
    forms: str
    right: int
    wrong: int
    right_counted_wrong: list[tuple[str, str]]
    wrong_counted_right: list[tuple[str, str]]


# Integers and decimals alone are read, no fractions, powers, shares, sums or units of one letter.
NO_DECIMALS = [
    (".35625", r"\frac{57}{160}"),
    ("204", r"\frac{408}{2}"),
    ("113", "100+13=113"),
    ("4.5", r"\frac{9}{2}"),
    ("4.5", "9/2"),
    ("4.5", r"4\frac12"),
    ("1000000.0", "10^6"),
    ("1000000.0", "10^{6}"),
    ("0.0625", r"\frac{1}{16}"),
    ("0.0625", "2^{-4}"),
    ("0.00000012", r"\frac{3}{25000000}"),
    ("1e-05", "10^{-5}"),
    ("1e-05", r"\frac{1}{100000}"),
    ("0.5", r"\frac{1}{2}"),
    ("0.5", "1/2"),
    ("0.5", r"50\%"),
    ("0.10000000149011612", "0.1"),  # float32 noise
    (r"120^\circ", r"\angle ABC = 120^\circ"),
    ("3", "x_1 = 3"),
    ("0.1", "10^{-1}"),
    ("1.0e-10", "10^{-10}"),
    ("8", "2^3"),
    ("8", "2³"),
    ("256", "2^8"),
    ("20", "20 m"),
    ("4", "4 m"),
]
# math-verify reads no recurring decimal, and an interval alone where the reference is a relation.
NO_ALGEBRA = [(r"\frac{5}{9}", r"0.\overline{5}"), (r"[1,\infty)", r"x\geq 1")]
JUDGED = {
    "math": Judged(MathChecker(timeout=30.0), "boxed", 475, 363, NO_ALGEBRA, []),
    "math anywhere": Judged(
        MathChecker(timeout=30.0, extraction="anywhere"),
        "text",
        22,
        19,
        [],
        [("18", "The answer is 18, no, 20.")],  # math-verify takes the number next to "answer"
    ),
    "number boxed": Judged(NumberChecker("boxed"), "boxed", 224, 163, NO_DECIMALS, []),
    "number marked": Judged(NumberChecker("marked"), "marked", 42, 31, [], []),
    "number either": Judged(NumberChecker("either"), "boxed marked", 266, 194, NO_DECIMALS, []),
    "number last": Judged(NumberChecker("last"), "boxed marked text", 288, 213, NO_DECIMALS, []),
    "choice": Judged(ChoiceChecker(), "choice", 22, 15, [], []),
}


def test_the_corpus() -> None:
    assert len(TRIPLES) == 995
    assert {triple["set"] for triple in TRIPLES} == {
        "aime", "amc", "choice", "gsm8k", "math500", "minerva", "mixed", "olympiad",
    }  # fmt: skip
    assert len({(t["form"], t["gold"], t["response"]) for t in TRIPLES}) == len(TRIPLES)


@pytest.mark.parametrize("name", JUDGED)
def test_errors_of_a_checker(name: str) -> None:
    judged = JUDGED[name]
    with judged.checker as checker:
        candidates = [t for t in TRIPLES if t["form"] in judged.forms.split()]
        golds = {t["gold"] for t in candidates}
        readable = {gold for gold in golds if checker.check_gold(gold) is None}
        triples = [t for t in candidates if t["gold"] in readable]
        verdicts = checker.check_all([t["gold"] for t in triples], [t["response"] for t in triples])
    expected = [t["verdict"] for t in triples]
    assert (expected.count("right"), expected.count("wrong")) == (judged.right, judged.wrong)
    errors: dict[str, list[tuple[str, str]]] = {"right": [], "wrong": []}
    for triple, verdict in zip(triples, verdicts, strict=True):
        if verdict is not (triple["verdict"] == "right"):
            errors[triple["verdict"]].append((triple["gold"], triple["response"]))
    for found, named in (
        (errors["right"], judged.right_counted_wrong),
        (errors["wrong"], judged.wrong_counted_right),
    ):
        assert len(found) == len(named), found
        for (gold, response), (named_gold, answer) in zip(found, named, strict=True):
            assert gold == named_gold and answer in response
    if name == "math":  # it reads every reference answer of the real sets
        assert readable == golds


def test_golds_that_are_not_one_answer_are_refused() -> None:
    refused = [t["gold"] for t in TRIPLES if t["verdict"] == "refused"]
    with MathChecker() as checker:
        reasons = {gold: checker.check_gold(gold) for gold in refused}
    assert len(reasons) == 6 and None not in reasons.values()
    assert str(reasons["080 or 081 (both accepted)"]).endswith("holds a remark")
    assert "names alternatives; write one answer" in str(reasons["17 or 18"])
    assert str(reasons["5 6"]).endswith("has two numbers side by side")  # read as 5 + 6 = 11
    for checker in (NumberChecker(), ChoiceChecker()):
        assert None not in [checker.check_gold(gold) for gold in refused]
