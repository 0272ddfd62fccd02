r"""Multiple choice: which letter a response settles on, and which texts settle on none."""

from __future__ import annotations

import string
import time

import pytest

from lit_entropy.verify import ChoiceChecker

CHECKER = ChoiceChecker()


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        (r"\boxed{C}", "C"),
        (r"\boxed{\text{C}}", "C"),
        (r"\boxed{\textbf{(C)}}", "C"),
        (r"$\boxed{(c)}$", "C"),
        (r"\boxed{A} no: \boxed{B}", "B"),
        (r"\boxed{A} Answer: B", "A"),  # the clearest form counts
        ("Answer: C", "C"),
        ("answer is (D).", "D"),
        ("**Answer:** E", "E"),
        ("The answer is: **B**", "B"),
        ("answer = a", "A"),
        ("answer: c.", "C"),
        ("Answer: (b) because", "B"),
        ("answer: **d**\nas shown", "D"),
        ("The answer is a prime number, so (C)", "C"),
        ("the answer is a bit unclear", None),
        ("answer: e.g. three, so (B)", "B"),
        ("Answer: A. On reflection, answer: B", "B"),
        ("It is (A) or (B), so (B)", "B"),
        (r"\boxed{A, B}", None),
        (r"\boxed{ABCDE}", None),
        (r"\boxed{ (C) 12}", "C"),
        ("\\boxed{. \n\fC) twelve}", "C"),
        (r"\boxed{A B) 12}", None),
        (r"\boxed{(C) , 12}", None),
        (r"\boxed{F}", None),
        (r"\boxed{42} answer: C", None),
        (r"\boxed{C", None),
        ("the answer is clear", None),
        ("answer: apple", None),
        ("answer: AB", None),
        ("(Z)", None),
        ("C", None),
        ("f(x) and a list (a)", None),
        ("", None),
    ],
)
def test_the_letter(response: str, letter: str | None) -> None:
    assert CHECKER.answer_of(response) == letter
    for gold in "ABCDE":
        assert CHECKER.check(gold, response) is (letter == gold)


def test_reference_answers() -> None:
    assert [CHECKER.check_gold(text) for text in ("A", "(b)", r"\text{C}")] == [None] * 3
    for text in ("", "F", "AB", "1"):
        assert "none of the choices A, B, C, D, E" in str(CHECKER.check_gold(text))
        with pytest.raises(ValueError, match="none of the choices"):
            CHECKER.check(text, r"\boxed{A}")


def test_other_choices() -> None:
    ten = ChoiceChecker(string.ascii_uppercase[:10])
    assert ten.check("J", "Answer: J") is True and CHECKER.check("A", "Answer: J") is False
    for choices in ("", "abc", "AA", "A1"):
        with pytest.raises(ValueError, match="distinct capital letters"):
            ChoiceChecker(choices)


def test_time_is_linear_in_hostile_text() -> None:
    def seconds(text: str) -> float:
        """The least of three: whatever else the process does adds to one."""
        found = []
        for _ in range(3):
            start = time.process_time()
            assert CHECKER.check("C", text) is False
            found.append(time.process_time() - start)
        return min(found)

    for unit in ("answer is ", "answer" + " " * 50, "(", r"\boxed{", r"\text{", "answer *"):
        short = max(seconds(unit * (2_000 // len(unit))), 1e-4)
        # ten times the text, a hundred times the time if it were quadratic
        assert seconds(unit * (20_000 // len(unit))) < 50 * short
        assert seconds(unit * (20_000_000 // len(unit))) < 1000 * short  # only the end is read
    for unit in (" ", "\n", "\u00a0", "A) ", "a "):
        short = max(seconds(rf"\boxed{{{unit * (1_900 // len(unit))}}}"), 1e-4)
        assert seconds(rf"\boxed{{{unit * (19_000 // len(unit))}}}") < 50 * short
