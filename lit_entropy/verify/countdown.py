r"""Countdown: an expression of given numbers, each used once, that has the target's value.

The form of the rewards in TinyZero and verl: numbers, ``+ - * /`` and parentheses with their usual
precedence, worked out exactly in fractions. A parser of this file reads it; nothing is evaluated.
"""

import re
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from lit_entropy.verify.answers import MAX_TEXT_LENGTH, parse_number, tagged_text
from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.notation import ascii_text

#: A longer expression is no answer.
MAX_EXPRESSION_LENGTH = 500
#: More numbers, or longer ones, are refused in a reference answer.
MAX_NUMBERS, MAX_DIGITS = 20, 15
#: Parentheses and signs within each other; no puzzle needs as many.
MAX_DEPTH = 50

_GOLD = re.compile(r"(\d+(?:;\d+)*)=(-?\d+)", re.ASCII)
_TOKEN = re.compile(r"\d+|[-+*/()]", re.ASCII)
_SIGNS = (
    (re.compile(r"\\times(?![a-zA-Z])|\\cdot(?![a-zA-Z])|[\u00d7\u00b7\u22c5]"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|\u00f7"), "/"),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])|\$"), ""),
)


class _Puzzle(NamedTuple):
    numbers: list[int]
    target: int


class CountdownChecker(AnswerChecker):
    r"""Checks that an expression uses every given number once and has the target's value.

    The answer of a response is the content of its last ``<answer>...</answer>``, or of its last
    ``\boxed{}`` where there is none; ``= 98`` may follow the expression if it is its value. A
    reference answer is written ``44;19;35=98``: the numbers, and the target.

    Source: the countdown reward of TinyZero and verl, without its part for the form.
    """

    def check_gold(self, answer: str) -> str | None:
        """Why a reference answer is no numbers and target; None where it is."""
        if _puzzle(answer) is not None:
            return None
        return (
            f"{answer!r:.80} is no puzzle such as 44;19;35=98, with at most {MAX_NUMBERS} numbers "
            f"of at most {MAX_DIGITS} digits (data.task.ground_truth=countdown reads records)"
        )

    def check(self, answer: str, response: str) -> bool:
        """Whether the response's expression uses each number once and gives the target."""
        puzzle = _puzzle(answer)
        if puzzle is None:
            raise ValueError(f"the reference answer: {self.check_gold(answer)}")
        tokens = _expression(response)
        if tokens is None:
            return False
        used = sorted(int(token) for token in tokens if token.isdecimal())
        return used == sorted(puzzle.numbers) and expression_value(tokens) == puzzle.target

    def answer_of(self, response: str) -> str | None:
        """The expression without spaces."""
        tokens = _expression(response)
        return None if tokens is None else "".join(tokens)


def expression_value(tokens: Sequence[str]) -> Fraction | None:
    """The value of an expression; None for a malformed one or a division by zero.

    Args:
        tokens: whole numbers, ``+ - * /`` and parentheses; a sign may stand before a number or a
            parenthesis.
    """
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except (_Malformed, ZeroDivisionError):
        return None
    return None if reader.tokens else value


class _Malformed(Exception):
    """Tokens that are no expression."""


class _Reader:
    """A descent through the tokens of an expression, sum by product by factor."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = deque(tokens)
        self.depth = 0

    def sum(self) -> Fraction:
        value = self.product()
        while sign := self._next_of("+-"):
            term = self.product()
            value += term if sign == "+" else -term
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while sign := self._next_of("*/"):
            factor = self.factor()
            value = value * factor if sign == "*" else value / factor
        return value

    def factor(self) -> Fraction:
        self.depth += 1
        if not self.tokens or self.depth > MAX_DEPTH:
            raise _Malformed
        token = self.tokens.popleft()
        if token in "+-":
            value = self.factor() * (1 if token == "+" else -1)
        elif token == "(":
            value = self.sum()
            if not self._next_of(")"):
                raise _Malformed
        elif token.isdecimal():
            value = Fraction(token)
        else:
            raise _Malformed
        self.depth -= 1
        return value

    def _next_of(self, signs: str) -> str:
        """The next token if it is one of these; empty otherwise."""
        return self.tokens.popleft() if self.tokens and self.tokens[0] in signs else ""


def _puzzle(answer: str) -> _Puzzle | None:
    match = _GOLD.fullmatch(answer.replace(" ", ""))
    if match is None:
        return None
    numbers = match[1].split(";")
    if len(numbers) > MAX_NUMBERS or max(map(len, [*numbers, match[2]])) > MAX_DIGITS:
        return None
    return _Puzzle([int(number) for number in numbers], int(match[2]))


def _expression(response: str) -> list[str] | None:
    """The tokens of the final expression; None where there is none or it claims another value."""
    text = ascii_text((tagged_text(response[-MAX_TEXT_LENGTH:]) or "").strip())
    if not 0 < len(text) <= MAX_EXPRESSION_LENGTH:
        return None
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    text, equals, claim = text.partition("=")
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        return None
    value = expression_value(tokens)
    claimed = not equals or (value is not None and parse_number(claim) == value)
    return tokens if value is not None and claimed else None
