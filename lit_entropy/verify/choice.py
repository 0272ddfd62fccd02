"""Multiple choice: the letter that a response settles on."""

import re

from lit_entropy.verify.answers import MAX_TEXT_LENGTH, boxed_text, count_boxes
from lit_entropy.verify.base import AnswerChecker

_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
# (C) 12: the letter and what it stands for. A run of spaces is tried from its start alone, so that
# the time is linear.
_WITH_CONTENT = re.compile(r"(?<!\s)\s*+\(?([A-Z])\)\s*+[^,;].*", re.DOTALL)
# A small letter counts at the end of a clause alone: "the answer is a prime" names no choice.
_LETTER = r"(?-i:[A-Z])|[a-z](?=\)|[ \t*]*(?:[.,;:!?]|$))"
_ANSWER = re.compile(
    r"\b(?:answer|option|choice)\b[ \t*]*(?:is|:|=)[ \t*:$]*"
    r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?"
    rf"\(?({_LETTER})\)?(?!\w|\.\w)",
    re.IGNORECASE | re.MULTILINE,
)
_PARENTHESISED = re.compile(r"\(([A-Z])\)")


class ChoiceChecker(AnswerChecker):
    r"""Checks multiple choice by the letter that the response gives last in its clearest form.

    The forms, clearest first: ``\boxed{C}``, ``answer: C`` (also ``the answer is (C)``), and a
    letter in parentheses, ``(C)``. Where one form is there the others do not count: a box that
    holds two letters is no answer. ``option`` and ``choice`` stand for ``answer``. In
    ``answer: c`` a small letter counts where its clause ends.

    Args:
        choices: the letters that may be chosen.

    Raises:
        ValueError: choices are not distinct capital letters.
    """

    def __init__(self, choices: str = "ABCDE") -> None:
        if not re.fullmatch(r"[A-Z]+", choices) or len(set(choices)) != len(choices):
            raise ValueError(f"choices={choices!r}: use distinct capital letters")
        self.choices = choices

    def check_gold(self, answer: str) -> str | None:
        """Why a reference answer is no letter to choose; None where it is one."""
        if self._letter(answer) is not None:
            return None
        return f"{answer!r:.80} is none of the choices {', '.join(self.choices)}"

    def check(self, answer: str, response: str) -> bool:
        """Whether the response settles on the letter of the reference."""
        gold = self._letter(answer)
        if gold is None:
            raise ValueError(f"the reference answer: {self.check_gold(answer)}")
        return self.answer_of(response) == gold

    def answer_of(self, response: str) -> str | None:
        """The capital letter that the response settles on."""
        text = response[-MAX_TEXT_LENGTH:]
        if count_boxes(text):
            return self._letter(boxed_text(text) or "")
        answers = _ANSWER.findall(text) or _PARENTHESISED.findall(text)
        return self._letter(answers[-1]) if answers else None

    def _letter(self, text: str) -> str | None:
        text = _WITH_CONTENT.sub(r"\1", _WRAPPED.sub(r"\1", text))
        letter = text.strip(" \t\n()$.*").upper()
        return letter if len(letter) == 1 and letter in self.choices else None
