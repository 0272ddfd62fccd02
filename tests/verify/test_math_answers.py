r"""Mathematical answers: verdicts by hand, asymmetry, hostile texts within their bound.

Ordinary checks are given plenty of processor time, hostile ones little.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.verify import MathChecker
from lit_entropy.verify.answers import MAX_TEXT_LENGTH
from lit_entropy.verify.child import near
from lit_entropy.verify.math_answers import MAX_ANSWER_LENGTH

SECONDS = 30.0


@pytest.fixture(scope="module")
def checker() -> Iterator[MathChecker]:
    with MathChecker(timeout=SECONDS) as checker:
        yield checker


@pytest.fixture(scope="module")
def quick() -> Iterator[MathChecker]:
    with MathChecker(timeout=0.2) as checker:
        yield checker


def boxed(text: str) -> str:
    return "So the answer is $\\boxed{" + text + "}$."


RIGHT = [
    ("204", "204"),
    ("204", "204.0"),
    ("204", "0204"),
    ("204", " 204. "),
    ("204", "+204"),
    ("204", r"\textbf{204}"),
    ("204", "n = 204"),
    ("204", r"204^\circ"),
    ("025", "25"),
    ("-3", "-3"),
    (r"\frac{1}{2}", "0.5"),
    ("1/2", r"\dfrac{2}{4}"),
    (r"\frac{1}{3}", "0.333333"),
    (r"2\sqrt{2}", r"\sqrt{8}"),
    ("x=5", "5"),
    ("5", "x=5"),
    (r"\{1,2\}", r"\{2,1\}"),
    ("(1,2)", "(1,2)"),
    ("x^2+2x+1", "(x+1)^2"),
    (r"\boxed{7}", "7"),
    ("$7$", "7"),
    ("1,234", "1234"),
]
WRONG = [
    (r"\frac{1}{3}", "0.33"),
    ("(1,2)", "(2,1)"),
    ("(3,1)", "(2,1)"),  # intervals of two empty sets must not be one answer
    (r"\{1,2\}", "1"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", "3"),
    ("2+3i", "2-3i"),
    ("x<2", "2"),
    (r"\infty", r"\frac{1}{0}"),
    (r"\text{even}", r"\text{odd}"),
]


@pytest.mark.parametrize(("answer", "text"), RIGHT)
def test_right(checker: MathChecker, answer: str, text: str) -> None:
    assert checker.check(answer, boxed(text)) is True
    assert checker.check_gold(answer) is None


@pytest.mark.parametrize(("answer", "text"), WRONG)
def test_wrong(checker: MathChecker, answer: str, text: str) -> None:
    assert checker.check(answer, boxed(text)) is False


def test_gold_and_response_are_not_interchangeable(checker: MathChecker) -> None:
    """math-verify takes an interval for a gold inequality, but not the other way round."""
    assert checker.check("1<x<2", boxed("(1,2)")) is True
    assert checker.check("(1,2)", boxed("1<x<2")) is False


#: Fifty and more ways not to answer 204.
NOT_204 = [
    "203", "205", "20", "2040", "-204", "204.5", "204.001", "204.0000011", "2.04", "204!", "204x",
    "x", "", " ", "204,", "204, 205", r"\{203, 204\}", "204 or 205", r"204 \text{ or } 205",
    "204;205", "204 205", "2 04", r"204\pm1", "203<x<205", "x>203", r"[203,205]", "(204,204)",
    r"\frac{204}{2}", "204/2", "204^2", r"\sqrt{204}", "204e1", "0xCC", "CC", "two hundred four",
    r"\text{two hundred and four}", "\u0662\u0660\u0664", "\u00b2\u2070\u2074", "?", "None", "True",
    "nan", r"\infty", "204=203", r"204\cdot 2", "204-1", "1,2,3,204", r"\mathbb{R}", r"\frac{204}",
    r"\begin{pmatrix}204\\204\end{pmatrix}", r"\overline{204}5", "answer", "[204",
    r"\{204", "204" * 400, "0" * 900 + "1", "[204,204]", r"\{204,204\}", r"\left[204, 204\right]",
]  # fmt: skip


def test_fifty_malformed_variants_are_not_right(checker: MathChecker) -> None:
    assert len(set(NOT_204)) >= 50
    responses = [boxed(text) for text in NOT_204] + ["204", "The answer is 204", r"\boxed{204", ""]
    verdicts = checker.check_all(["204"] * len(responses), responses)
    wrongly = [r for r, v in zip(responses, verdicts, strict=True) if v is True]
    assert wrongly == []
    assert verdicts.count(False) == len(verdicts)  # and nothing of it is out of reach
    assert checker.check("204", boxed("204")) is True


def test_the_last_box_counts_alone(checker: MathChecker) -> None:
    assert checker.check("42", r"\boxed{1}\boxed{42}") is True
    assert checker.check("42", r"\boxed{42} no, \boxed{1}") is False
    assert checker.check("42", r"\boxed{42} and then \boxed{") is False  # unclosed
    every = "".join(rf"\boxed{{{number}}}" for number in range(100))
    assert checker.check("42", every) is False
    candidates = ",".join(str(number) for number in range(100))
    assert checker.check("42", boxed(candidates)) is False
    assert checker.check("42", boxed(r"\{" + candidates + r"\}")) is False
    assert checker.check("42", "42 is it. " + boxed("x^{2}_{3}")) is False


def test_only_the_end_of_a_response_is_looked_at(checker: MathChecker) -> None:
    filler = "x" * MAX_TEXT_LENGTH
    assert checker.check("42", boxed("42") + filler) is False
    assert checker.check("42", filler * 50 + boxed("42")) is True
    assert checker.check("42", boxed("42" + " " * MAX_ANSWER_LENGTH)) is True  # stripped
    assert checker.check("42", boxed("42+" + "0+" * (MAX_ANSWER_LENGTH // 2) + "0")) is False


def test_anywhere_uses_the_whole_text() -> None:
    with MathChecker(timeout=SECONDS, extraction="anywhere") as checker:
        assert checker.check("42", "The answer is 42") is True
        assert checker.check("1/2", r"We get $\frac{1}{2}$") is True
        assert checker.check("42", "The answer is 41") is False
        assert checker.answer_of("The answer is 42") == "42"
        assert checker.answer_of("no idea") is None
        # a text in brackets with a comma is no list
        assert checker.check("5", r"(First, a remark) The answer is $\boxed{5}$.") is True


integers = st.integers(-(10**14), 10**14) | st.integers(-20, 20)


@settings(max_examples=60)
@given(integers, integers)
def test_the_short_cut_for_integers_gives_the_process_verdict(gold: int, answer: int) -> None:
    request = {"gold": str(gold), "answer": str(answer), "whole": False}
    other = _SHARED._pool.ask(request)["verdict"]
    assert _SHARED.check(str(gold), boxed(str(answer))) is other is (gold == answer)
    assert _SHARED._pool.ask({**request, "answer": str(gold)})["verdict"] is True


_SHARED = MathChecker(timeout=SECONDS)


def test_gold_answers(checker: MathChecker) -> None:
    for answer in ("", "  ", r"\boxed{}", "\\", "1" * (MAX_ANSWER_LENGTH + 1)):
        assert checker.check_gold(answer) is not None
    assert "no mathematics" in str(checker.check_gold("\\"))
    with pytest.raises(ValueError, match=r"reference answer .* is no mathematics"):
        checker.check("\\", boxed("2x"))


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (boxed("204.0"), "204"),
        (boxed(r"\dfrac{1}{2}"), "1/2"),
        (boxed(r"\left( 1,\, 2 \right)"), "(1,2)"),
        (boxed(r"\text{Even}"), "Even"),
        ("no box 7", None),
        (boxed(" "), None),
        (r"\boxed{7", None),
    ],
)
def test_answer_of(checker: MathChecker, response: str, answer: str | None) -> None:
    assert checker.answer_of(response) == answer


def test_equal_answers_have_one_text(checker: MathChecker) -> None:
    for group in (
        ["0.5", "1/2", r"\frac{1}{2}", r"\dfrac{2}{4}", ".50", r"\frac{ 1 }{ 2 }"],
        ["-0.5", "-1/2", r"-\tfrac{1}{2}"],
        ["1000", "1,000", "1000.0", "+1000"],
        [r"2\sqrt{3}", r"2 \sqrt{3}", r"2\,\sqrt{3}"],
    ):
        assert len({checker.answer_of(boxed(text)) for text in group}) == 1, group


HOSTILE = [
    "9^{9^{9^9}}",
    "10^{10^9}",
    "10^7!",
    "10000000!!",
    "2^{2^{100}}",
    r"\binom{10^8}{5\cdot 10^7}",
    r"\sum_{n=1}^{10^9} n^n",
    r"\prod_{n=1}^{10^8} (n+x)",
    r"\int \sin(x^x) dx",
    r"\int_0^1 e^{x^{x^x}} dx",
    r"\lim_{x \to \infty} x^{x^{x}}/\sin(x!)",
    "(" * 400 + "1" + ")" * 400,
    "{" * 400 + "1" + "}" * 400,
    r"\sqrt{" * 140 + "2" + "}" * 140,
    r"\frac{1}{" * 100 + "2" + "}" * 100,
    "1+" * 450 + "1",
    "-" * 900 + "1",
    "x^" * 400 + "x",
    r"\begin{pmatrix}" + "1&" * 400 + r"1\end{pmatrix}",
    "\x00204",
    "204\x00",
    "\ud800",
    "\U0001f4a9" * 300,
    "%s%s%n",
    "\\" * 400,
    "$" * 500,
]


def test_hostile_answers_are_never_right_and_always_come_back(quick: MathChecker) -> None:
    verdicts = [quick.check("204", boxed(text)) for text in HOSTILE]
    assert True not in verdicts
    counts = quick.statistics()
    assert sum(counts.values()) == len(HOSTILE)
    assert counts["timeout"] >= 4 and verdicts.count(None) >= 4
    assert verdicts.count(None) == sum(
        counts.get(kind, 0) for kind in ("timeout", "memory", "crashed", "error")
    )
    assert quick.check("204", boxed("204.0")) is True  # and the process still works


def test_no_text_of_an_answer_is_executed(quick: MathChecker, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    codes = [
        f"__import__('os').system('touch {marker}')",
        f"().__class__.__base__.__subclasses__() or open('{marker}', 'w')",
        f"eval(compile('open(\"{marker}\", \"w\")', '', 'exec'))",
        f"1 + __import__('pathlib').Path('{marker}').touch()",
        rf"\input{{|touch {marker}}}",
        f"$(touch {marker})",
        f"`touch {marker}`",
        f"{{open('{marker}','w')}}",
        f"lambda: open('{marker}', 'w')",
    ]
    with MathChecker(timeout=2.0, extraction="anywhere") as anywhere:
        for code in codes:
            for text in (boxed(code), f"The final answer is {code}. I hope", f"${code}$"):
                assert quick.check("204", text) is not True
                assert anywhere.check("204", text) is not True
    assert not marker.exists() and list(tmp_path.iterdir()) == []


def test_a_gold_answer_that_takes_too_long_is_refused() -> None:
    with MathChecker(timeout=1e-4) as checker:
        reason = str(checker.check_gold(r"\frac{x}{2}"))
        assert "could not be read by math-verify (timeout)" in reason


def test_several_processes_keep_the_order() -> None:
    with MathChecker(timeout=SECONDS, workers=2) as checker:
        texts = [boxed(rf"\frac{{{number}}}{{2}}") for number in range(40)]
        verdicts = checker.check_all(["7/2"] * 40, texts)
        assert [index for index, verdict in enumerate(verdicts) if verdict] == [7]
        assert checker.statistics() == {"right": 1, "wrong": 39}


def test_a_copy_has_processes_of_its_own(checker: MathChecker) -> None:
    assert checker.check("1/2", boxed("0.5")) is True
    with copy.deepcopy(checker) as other:
        assert other.check("1/2", boxed("0.5")) is True
        assert other._pool.jails[0].pid != checker._pool.jails[0].pid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0.0}, r"timeout=0.0"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"memory_mb": 10}, "memory_mb=10"),
        ({"workers": 0}, "workers=0"),
        ({"extraction": "first"}, "extraction='first'"),
    ],
)
def test_bad_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MathChecker(**arguments)  # type: ignore[arg-type]


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'lit_entropy\[math\]'"):
        MathChecker()


def test_large_inexact_numbers_are_compared_relatively() -> None:
    """Rounding of float64 alone is above six decimals there; a part in a million is not."""
    sympy = pytest.importorskip("sympy")
    root = sympy.sympify("0.1*sqrt(2)*10**20")
    assert near(root, sympy.sympify("14142135623730953000.0")) is True  # 16 digits
    assert near(root, sympy.sympify("14142149765866574219.0")) is False
    assert near(sympy.sympify("2.5"), sympy.sympify("2.5000011")) is False
