"""Countdown expressions: the parser, the numbers that count, and answers that are none."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.verify import CountdownChecker
from lit_entropy.verify.countdown import MAX_DEPTH, expression_value

GOLD = "44;19;35=98"


def tokens(text: str) -> list[str]:
    return [c for c in text if not c.isspace()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+2*3", Fraction(7)),
        ("(1+2)*3", Fraction(9)),
        ("8-3-2", Fraction(3)),
        ("8/4/2", Fraction(1)),
        ("1/3+1/6", Fraction(1, 2)),
        ("-3+8", Fraction(5)),
        ("2*-(3-5)", Fraction(4)),
        ("6/(3-3)", None),
        ("", None),
        ("1+", None),
        ("*1", None),
        ("(1+2", None),
        ("1+2)", None),
        ("()", None),
        ("1(2)", None),
    ],
)
def test_values_of_expressions(text: str, value: Fraction | None) -> None:
    assert expression_value(tokens(text)) == value


def test_numbers_side_by_side_and_deep_nesting_are_no_expression() -> None:
    assert expression_value(["1", "2"]) is None
    deep = ["("] * MAX_DEPTH + ["1"] + [")"] * MAX_DEPTH
    assert expression_value(deep) is None and expression_value(deep[1:-1]) == 1


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction]:
    """An expression in full parentheses with its value, built beside the text."""
    if depth == 0 or draw(st.booleans()):
        number = draw(st.integers(0, 99))
        return str(number), Fraction(number)
    (left, a), (right, b) = (draw(expressions(depth=depth - 1)) for _ in "ab")
    sign = draw(st.sampled_from("+-*/" if b else "+-*"))
    value = {"+": a + b, "-": a - b, "*": a * b}.get(sign)
    return f"({left} {sign} {right})", a / b if value is None else value


@given(expressions())
def test_any_expression_has_the_value_that_it_was_built_with(
    expression: tuple[str, Fraction],
) -> None:
    text, value = expression
    numbers = [
        token for token in text.replace("(", " ").replace(")", " ").split() if token.isdigit()
    ]
    assert expression_value(text.replace("(", " ( ").replace(")", " ) ").split()) == value
    if value.denominator == 1:
        gold = f"{';'.join(numbers)}={value}"
        assert CountdownChecker().check(gold, f"<answer>{text}</answer>")


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("So <answer> 44 + 19 + 35 </answer>.", True),
        ("<answer>(44+19)+35 = 98</answer>", True),
        (r"\boxed{35 + 44 + 19}", True),
        ("<answer>1+1</answer> no, <answer>19+(44+35)</answer>", True),
        (r"<answer>$44 + \left(19 + 35\right)$</answer>", True),
        ("<answer>44 + 19 + 35 = 99</answer>", False),  # claims what it is not
        ("<answer>44 + 54</answer>", False),  # another number
        ("<answer>44 + 19 + 35 + 44 - 44</answer>", False),  # one is used three times
        ("<answer>98</answer>", False),
        ("<answer>44 + 19 - 35</answer>", False),
        ("<answer>44 19 35</answer>", False),
        ("<answer>44 + 19 + 35 or 98</answer>", False),
        ("44 + 19 + 35", False),  # no place of an answer
        ("<answer>44 + 19 + 35", False),
        ("<answer>" + "(" * 400 + "</answer>", False),
        ("", False),
    ],
)
def test_responses(response: str, verdict: bool) -> None:
    assert CountdownChecker().check(GOLD, response) is verdict


def test_signs_of_prose_and_latex() -> None:
    checker = CountdownChecker()
    for text in (r"6 \times 8 \div 2", "6 × 8 ÷ 2", r"6 \cdot 8 / 2", "6*8/2"):  # noqa: RUF001
        assert checker.check("2;6;8=24", f"<answer>{text}</answer>")
        assert checker.answer_of(f"<answer>{text}</answer>") == "6*8/2"
    assert checker.check("5;8=-3", "<answer>5 \u2212 8</answer>")
    assert checker.answer_of("<answer>6 x 8</answer>") is None


def test_reference_answers() -> None:
    checker = CountdownChecker()
    assert checker.check_gold(GOLD) is None and checker.check_gold("5; 8 = -3") is None
    for bad in ("98", "44,19=98", "{'numbers': [1]}", ";".join("1" * 21) + "=3", "1" * 16 + "=1"):
        assert "is no puzzle such as 44;19;35=98" in (checker.check_gold(bad) or "")
        with pytest.raises(ValueError, match="the reference answer: "):
            checker.check(bad, "<answer>1</answer>")
