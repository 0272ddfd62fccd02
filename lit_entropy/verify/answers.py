r"""Extracting a final number from text and comparing it exactly; nothing is ever evaluated.

Numbers are integers or decimals (``1,234``, ``$12.50``, ``+3``, ``.5``, ``12.0`` = ``12``, a
trailing ``.`` or ``%`` is ignored). Fractions, exponents and units glued to a number are refused.
"""

import re
from fractions import Fraction
from typing import Literal

#: ``marked``: after the last ``####``; ``boxed``: in the last ``\boxed{}``; ``either``: ``####``
#: first; ``last``: as ``either``, and the last number of the text where neither marker is given.
AnswerStyle = Literal["marked", "boxed", "either", "last"]

MARKER = "####"
#: Longer numbers are refused: int() of digits is quadratic, and no answer is that long.
MAX_NUMBER_LENGTH = 40
#: Only the end of a text is searched for an answer.
MAX_TEXT_LENGTH = 20_000

# Possessive quantifiers (++, ?+) keep "12x" from matching as "1" and the time linear.
_DIGITS = r"(?>\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?+|\.\d++"
_END = r"(?![\w/^]|[.,]\d)"
_NUMBER = re.compile(rf"(?P<sign>[+-]?)\$?(?P<digits>(?>{_DIGITS})){_END}", re.ASCII)
# Inside a text a sign counts only where it cannot be an operator, as in "5-3".
_IN_TEXT = re.compile(
    rf"(?<![\w./^])(?<!\d,)(?P<sign>(?:(?<![\w)])[+-])?)\$?(?P<digits>(?>{_DIGITS})){_END}",
    re.ASCII,
)
_LATEX_NOISE = re.compile(r"\\[$%,!; ]")


def parse_number(text: str) -> Fraction | None:
    """The exact value of a text that is one number and nothing else; None if it is not one."""
    if len(text) > 2 * MAX_NUMBER_LENGTH:
        return None
    match = _NUMBER.fullmatch(_clean(text).removesuffix("%").removesuffix(".").rstrip())
    return _value(match) if match else None


def marked_number(text: str) -> Fraction | None:
    """The number right after the last ``####``; text may follow it."""
    _, marker, tail = text.rpartition(MARKER)
    match = _NUMBER.match(_clean(tail.lstrip()[: 2 * MAX_NUMBER_LENGTH])) if marker else None
    return _value(match) if match else None


def boxed_text(text: str) -> str | None:
    r"""The content of the last ``\boxed{...}``, braces balanced; None without one or unclosed."""
    _, command, tail = text.rpartition(r"\boxed{")
    depth = 1
    for position, character in enumerate(tail if command else ""):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return tail[:position]
    return None


def last_number(text: str) -> Fraction | None:
    """The last number anywhere in a text."""
    values = [_value(match) for match in _IN_TEXT.finditer(_clean(text))]
    return values[-1] if values else None


def final_number(text: str, style: AnswerStyle = "either") -> Fraction | None:
    """The final number of a response.

    Args:
        text: the response.
        style: where the number must stand, see :data:`AnswerStyle`.

    Returns:
        Its exact value, or None where the style finds no number.
    """
    text = text[-MAX_TEXT_LENGTH:]
    if style != "boxed" and MARKER in text:
        return marked_number(text)
    if style != "marked" and (content := boxed_text(text)) is not None:
        return parse_number(content)
    return last_number(text) if style == "last" else None


def _clean(text: str) -> str:
    return _LATEX_NOISE.sub(_keep_dollar, text).strip()


def _keep_dollar(match: re.Match[str]) -> str:
    return match.group()[1] if match.group()[1] in "$%" else ""


def _value(match: re.Match[str]) -> Fraction | None:
    digits = match["digits"]
    if len(digits) > MAX_NUMBER_LENGTH:
        return None
    value = Fraction(digits.replace(",", ""))
    return -value if match["sign"] == "-" else value
