r"""Final numbers as a checker: one text for equal numbers, reference answers, styles."""

from __future__ import annotations

import pytest

from lit_entropy.verify import AnswerChecker, NumberChecker


def test_an_integer_answer_and_its_spellings() -> None:
    checker = NumberChecker()
    for text in (
        "204",
        "204.0",
        "0204",
        "+204",
        "204.",
        " 204 ",
        r"\$204",
        "204.00",
        "2.04e2",
        "x=204",
        "204°",
    ):
        assert checker.check("204", rf"so \boxed{{{text}}}") is True
        assert checker.answer_of(rf"\boxed{{{text}}}") == "204"
    for text in ("203", "-204", "204.0001", "20 4", "408/2", "204x", "203=204", "", "204,"):
        assert checker.check("204", rf"so \boxed{{{text}}}") is False
    assert checker.check("204", "204") is False  # no box
    assert checker.check_gold("204") is None


@pytest.mark.parametrize(
    ("style", "response", "right"),
    [
        ("boxed", "#### 7", False),
        ("marked", "#### 7", True),
        ("marked", r"\boxed{7}", False),
        ("either", r"\boxed{7}", True),
        ("either", r"\boxed{8} #### 7", True),
        ("last", "so it is 7.", True),
        ("either", "so it is 7.", False),
    ],
)
def test_styles(style: str, response: str, right: bool) -> None:
    checker = NumberChecker(style)  # type: ignore[arg-type]
    assert checker.check("7", response) is right
    assert (checker.answer_of(response) is not None) is right  # only that form holds a number


def test_reference_answers() -> None:
    checker = NumberChecker("marked")
    assert checker.check("He has 3 + 4 = 7.\n#### 7", "#### 7") is True
    assert checker.check("1,000.50", "#### 1000.5") is True
    for answer in ("", "seven", "1/2", "#### x", "7 8"):
        assert "no integer or decimal" in str(checker.check_gold(answer))
        with pytest.raises(ValueError, match="is no number"):
            checker.check(answer, "#### 7")
    with pytest.raises(ValueError, match="style='end'"):
        NumberChecker("end")  # type: ignore[arg-type]


def test_pairs_are_checked_in_order() -> None:
    with NumberChecker() as checker:
        responses = [r"\boxed{1}", r"\boxed{2}", "none"]
        assert checker.check_all(["1", "1", "1"], responses) == [True, False, False]
        with pytest.raises(ValueError, match="zip"):
            checker.check_all(["1"], responses)


def test_the_defaults_of_the_base_class() -> None:
    class Exact(AnswerChecker):
        def check_gold(self, answer: str) -> str | None:
            return None

        def check(self, answer: str, response: str) -> bool | None:
            return None if response == "?" else answer == response

        def answer_of(self, response: str) -> str | None:
            return response or None

    with Exact() as checker:
        assert checker.check_all(["a", "a", "a"], ["a", "b", "?"]) == [True, False, None]
        checker.close()
