"""Integers and decimals, compared exactly; nothing is ever evaluated."""

from fractions import Fraction
from typing import get_args

from lit_entropy.verify.answers import (
    MARKER,
    AnswerStyle,
    final_number,
    marked_number,
    parse_number,
)
from lit_entropy.verify.base import AnswerChecker


class NumberChecker(AnswerChecker):
    r"""Checks final numbers exactly: ``204``, ``204.0``, ``0204`` and ``2.04e2`` are one number.

    It needs no process and always has a verdict. A reference answer is a number, or a text with
    ``####`` before it, as in GSM8K.

    Args:
        style: where the number of a response must stand: ``marked`` (after ``####``), ``boxed``
            (``\boxed{}``), ``either``, or ``last`` (either, else the last number of the text).

    Raises:
        ValueError: an unknown style.
    """

    def __init__(self, style: AnswerStyle = "boxed") -> None:
        if style not in get_args(AnswerStyle):
            raise ValueError(f"style={style!r}: use one of {get_args(AnswerStyle)}")
        self.style = style

    def check_gold(self, answer: str) -> str | None:
        """Why a reference answer is no number; None where it is one."""
        if _gold(answer) is not None:
            return None
        return f"{answer!r:.80} is no integer or decimal, nor is there one after {MARKER}"

    def check(self, answer: str, response: str) -> bool:
        """Whether the response's final number equals the reference exactly."""
        gold = _gold(answer)
        if gold is None:
            raise ValueError(f"the reference answer {answer!r:.80} is no number")
        return final_number(response, self.style) == gold

    def answer_of(self, response: str) -> str | None:
        """The final number as a reduced fraction, ``1/2`` for ``0.50``."""
        number = final_number(response, self.style)
        return None if number is None else str(number)


def _gold(answer: str) -> Fraction | None:
    return marked_number(answer) if MARKER in answer else parse_number(answer)
