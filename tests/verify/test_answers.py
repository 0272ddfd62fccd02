"""Final numbers: what counts, what does not, exactness, and bounded time on hostile text."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.verify.answers import (
    boxed_text,
    final_number,
    last_number,
    marked_number,
    parse_number,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        (" 18 \n", 18),
        ("+3", 3),
        ("-5", -5),
        ("033", 33),
        ("12.0", 12),
        ("12.", 12),
        (".5", Fraction(1, 2)),
        ("1,234,567", 1234567),
        ("$1,234.50", Fraction(2469, 2)),
        (r"\$18", 18),
        ("-$5", -5),
        ("5%", 5),
        (r"50\%", 50),
        ("- 5", -5),
        ("1e5", 100_000),
        ("2.5E-3", Fraction(1, 400)),
        (r"2.5 \times 10^{-3}", Fraction(1, 400)),
        ("\u22125", -5),
        ("1\u202f000", 1000),
        (r"1\,000", 1000),
        ("1{,}000", 1000),
        (r"90^\circ", 90),
        ("90°", 90),
        ("x = 12", 12),
    ],
)
def test_numbers(text, value):
    assert parse_number(text) == value


NOT_NUMBERS = (
    r"|x|1/2|\frac{1}{2}|1,00|12,34|1.2.3|12x|x12|2e|2^3|1 2|3-2|0x10|inf|nan|1_000|٣|--1"
    "|9**9|__import__('os')"
)


@pytest.mark.parametrize(
    "text",
    [*NOT_NUMBERS.split("|"), "1" * 41, "1" + " " * 200 + "2"],
)
def test_not_a_number(text):
    assert parse_number(text) is None


def test_exactness_beyond_floats():
    # 0.1 + 0.2 as floats is not 0.3, and 10^16 + 1 is not a float at all.
    assert parse_number("0.3") == Fraction(3, 10)
    assert parse_number("10000000000000001") == 10**16 + 1


@given(st.decimals(-(10**12), 10**12, places=3))
def test_every_decimal_survives_writing(number):
    plain, grouped = f"{number:f}", f"{number:,f}"
    assert parse_number(plain) == parse_number(grouped) == Fraction(Decimal(number))
    assert marked_number(f"so #### {grouped} dollars") == Fraction(number)
    assert last_number(f"it is {plain}.") == Fraction(number)


@given(st.text(alphabet="0123456789.,$-+#/\\boxed{} ", max_size=60))
def test_never_raises(text):
    for style in ("marked", "boxed", "either", "last"):
        assert isinstance(final_number(text, style), Fraction | None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16 - 3 = 13\n#### 18", 18),
        ("#### 5 no, #### $6. ok", 6),
        ("####-7 apples", -7),
        ("#### 1,000.", 1000),
        ("#### 1/2", None),
        ("#### 1 000", 1000),
        ("#### 1 8", None),
        ("#### 18 + 1", None),
        ("#### **18**", 18),
        (r"#### \boxed{18}", 18),
        ("#### Answer: 18 eggs", 18),
        ("#### \u22125", -5),
        ("#### eighteen", None),
        ("#### ", None),
        ("18", None),
        ("####" + " " * 500 + "12", 12),
    ],
)
def test_marked(text, value):
    assert marked_number(text) == value


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{1} then \boxed{042}", "042"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$\boxed{ 7 }$.", " 7 "),
        (r"\boxed{3", None),
        (r"\boxed{1} \boxed{3", None),
        ("boxed{3}", None),
        (r"\boxed 12", "12"),
        (r"\boxed {12}", "12"),
        (r"\fbox{12} or \boxed{13", None),
        (r"\boxed{11} no, \fbox{12}", "12"),
        (r"$\boxed\frac{1}{2}$", r"\frac{1}{2}"),
        (r"\boxed{3}, in a \boxed as asked", "3"),
        (r"\boxedx{3}", None),
    ],
)
def test_boxed(text, content):
    assert boxed_text(text) == content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17 + 25 = 42.", 42),
        ("5-3", 3),
        ("it is -3", -3),
        ("x=-3", -3),
        ("costs $1,200 and", 1200),
        ("a 42 or 1/2", 42),
        ("42 is 3.5x", 42),
        ("x2", None),
        ("it is \u22125.", -5),
        ("it is 4.5e3.", 4500),
        (r"it is $4.5 \times 10^{3}$", 4500),
        ("all 1 000 of them", 1000),
        ("none", None),
        ("7, " + "1" * 41, None),
    ],
)
def test_last_number(text, value):
    assert last_number(text) == value


def test_styles():
    both = r"5 \boxed{6} #### 7 or 8"
    values = [final_number(both, style) for style in ("marked", "boxed", "either", "last")]
    assert values == [7, 6, 7, 7]
    assert [final_number("9", s) for s in ("marked", "boxed", "either", "last")] == [None] * 3 + [9]
    # A given but unreadable marker is an answer that is wrong, not an invitation to look elsewhere.
    assert final_number("9 #### none", "last") is None


def test_an_answer_far_from_the_end_is_not_searched():
    assert final_number("#### 5" + " " * 20_000, "marked") is None


@pytest.mark.parametrize(
    "part",
    [
        "1,",
        "1",
        "1,111",
        r"\boxed{",
        "#### ",
        "-",
        "$",
        "1.",
        "{",
        "1 ",
        "1 111 ",
        "1{,}",
        r"\boxed ",
        "√",
    ],
)
def test_linear_time_on_hostile_text(part):
    def seconds(length):
        found = []
        for _ in range(3):  # the least: whatever else the process does adds to one
            start = time.process_time()
            for style in ("marked", "boxed", "last"):
                final_number(part * (length // len(part)), style)
            found.append(time.process_time() - start)
        return min(found)

    short = max(seconds(2_000), 1e-4)
    # ten times the text, a hundred times the time if it were quadratic
    assert seconds(20_000) < 50 * short
    assert seconds(2_000_000) < 1000 * short  # only the end is read
