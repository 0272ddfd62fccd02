"""Knights and knaves: every person's role, and nobody's two."""

from __future__ import annotations

import pytest

from lit_entropy.verify import KnightsChecker

GOLD = "(1) Zoey is a knave\n(2) Oliver is a knight"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("(1) Zoey is a knave\n(2) Oliver is a knight", True),
        ("(1) Oliver is a knight, (2) Zoey is a knave.", True),
        ("Zoey: knave; oliver = Knight", True),
        (r"**Zoey** is a **knave** and \text{Oliver} is a knight", True),
        ("Zoey is a knave. Zoey is a knave. Oliver is a knight.", True),
        ("Zoey is a knight, Oliver is a knight", False),
        ("Zoey is a knave", False),
        ("Zoey is a knave, Oliver is a knight, Ann is a knight", False),
        ("Zoey is a knave or a knight, Oliver is a knight", False),
        ("Zoey is a knave, Zoey is a knight, Oliver is a knight", False),
        ("Zoey is not a knight, Oliver is a knight", False),
        ("", False),
    ],
)
def test_answers(answer: str, verdict: bool) -> None:
    checker = KnightsChecker()
    assert (
        checker.check(GOLD, f"<think>Zoey is a knight</think><answer>{answer}</answer>") is verdict
    )
    assert checker.check(GOLD, answer) is False  # outside of the place of an answer


def test_names_of_answers_and_other_roles() -> None:
    checker = KnightsChecker()
    response = "<answer>(1) Zoey is a knave (2) Oliver is a knight</answer>"
    assert checker.answer_of(response) == "oliver: knight; zoey: knave"
    assert checker.answer_of("none") is None
    assert checker.check("(1) Ann is an altruist", r"\boxed{\text{Ann is an altruist}}")


def test_reference_answers() -> None:
    checker = KnightsChecker()
    assert checker.check_gold(GOLD) is None
    for bad in ("Zoey", "Zoey is a baker", "Zoey is a knave. Zoey is a knight"):
        assert "names no roles such as 'Zoey is a knave'" in (checker.check_gold(bad) or "")
        with pytest.raises(ValueError, match="the reference answer: "):
            checker.check(bad, "x")
