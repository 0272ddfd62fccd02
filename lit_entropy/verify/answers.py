r"""Extracting a final number from text and comparing it exactly; nothing is ever evaluated.

Numbers are integers or decimals (``1,234``, ``1\,234``, ``$12.50``, ``+3``, ``−5``, ``.5``,
``12.0`` = ``12``, ``4.5e33``, ``90°``); a trailing ``.``, ``%`` or unit and a leading ``x =`` are
ignored. Fractions and operations are refused, and so are letters glued to a number.
"""

import re
from fractions import Fraction
from typing import Literal

from lit_entropy.verify.notation import ascii_text, join_groups, latex_notation

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
_END = r"(?P<power>[eE][+-]?\d{1,3})?+(?![\w/^]|[.,]\d)"
_NUMBER = re.compile(rf"(?P<sign>[+-]?)\s?\$?(?P<digits>(?>{_DIGITS})){_END}", re.ASCII)
# Inside a text a sign counts only where it cannot be an operator, as in "5-3".
_IN_TEXT = re.compile(
    rf"(?<![\w./^])(?<!\d,)(?P<sign>(?:(?<![\w)])[+-])?)\$?(?P<digits>(?>{_DIGITS})){_END}",
    re.ASCII,
)
_LATEX_NOISE = re.compile(r"\\[$%,!; ]")
_POWER_OF_TEN = re.compile(
    r"(?<=\d)\s?(?:\\times|\\cdot|\u00d7|\u00b7|\*)\s?10\s?\^\s?\{?([+-]?\d{1,3})(?!\d)\}?",
    re.ASCII,
)
# What surrounds the number alone: braces, degrees, a percent sign, the name of the unknown.
_AROUND = re.compile(
    r"(?:[A-Za-z][A-Za-z+\-()\\ ]{0,30}=)?\s*\{*(.*?)\}*\s*(?:\^\\circ|\\?%)?\.?\s*", re.DOTALL
)
# A box may be \fbox, have a space before its brace, or no brace: \boxed 12, \boxed\frac{1}{2}.
_BOX = re.compile(
    r"\\(?:boxed|fbox)(?![a-zA-Z])\s*+(?:\{|(?P<bare>(?:[+-]?[\d.]|\\[a-zA-Z]|[A-Z](?!\w))[^\s$]*))"
)
_DECORATION = re.compile(
    r"(?:[\s*_`$=:]|\\[(\[]|(?:the\s+)?(?:final\s+)?answer(?:\s+is)?(?!\w))*+", re.IGNORECASE
)
# An operation, or a second number, makes "18" of "18 + 1" no answer.
_GOES_ON = re.compile(
    r"\s*(?:\*{0,2}|[-/+^=\u00d7\u00f7\u00b7]|\\(?:times|cdot|div))\s*\(?\$?\d", re.ASCII
)


def parse_number(text: str) -> Fraction | None:
    """The exact value of a text that is one number and nothing else; None if it is not one."""
    if len(text) > 2 * MAX_NUMBER_LENGTH:
        return None
    if match := _NUMBER.fullmatch(text.strip()):
        return _value(match)
    match = _AROUND.fullmatch(latex_notation(text))
    match = _NUMBER.fullmatch(_with_exponents(match[1])) if match else None
    return _value(match) if match else None


def marked_number(text: str) -> Fraction | None:
    r"""The number right after the last ``####``, also in bold or in a box; text may follow it."""
    _, marker, tail = text.rpartition(MARKER)
    if not marker:
        return None
    line = tail.lstrip()[: 4 * MAX_NUMBER_LENGTH].partition("\n")[0]
    line = line[_DECORATION.match(line).end() :]  # type: ignore[union-attr]  # matches always
    if (content := boxed_text(line)) is not None:
        return parse_number(content)
    if (number := parse_number(line.rstrip("*_`$ "))) is not None:
        return number
    line = _plain(line)
    match = _NUMBER.match(line)
    return None if match is None or _GOES_ON.match(line, match.end()) else _value(match)


def boxed_text(text: str) -> str | None:
    r"""The content of the last box, braces balanced; None without one or unclosed.

    A box is ``\boxed{...}``, ``\fbox{...}``, or ``\boxed`` before a number, a command or a capital
    letter, as in ``\boxed 12``.
    """
    text = ascii_text(text)
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    if boxes[-1]["bare"]:
        return boxes[-1]["bare"].rstrip(".,;:")
    tail = text[boxes[-1].end() :]
    depth = 1
    for position, character in enumerate(tail):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return tail[:position]
    return None


def tagged_text(text: str) -> str | None:
    r"""The content of the last ``<answer>...</answer>``, of the last box where there is none."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    return boxed_text(text) if start < 0 else text[start + len("<answer>") : end]


def count_boxes(text: str) -> int:
    """The number of boxes in a text."""
    return len(_BOX.findall(ascii_text(text)))


def last_number(text: str) -> Fraction | None:
    """The last number anywhere in a text."""
    values = [_value(match) for match in _IN_TEXT.finditer(_plain(text))]
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


def _plain(text: str) -> str:
    """Prose with ASCII's signs, joined thousands and e-notation for powers of ten."""
    joined = join_groups(ascii_text(text))
    return _with_exponents(_LATEX_NOISE.sub(_keep_dollar, joined)).strip()


def _with_exponents(text: str) -> str:
    return _POWER_OF_TEN.sub(r"e\1", text)


def _keep_dollar(match: re.Match[str]) -> str:
    return match.group()[1] if match.group()[1] in "$%" else ""


def _value(match: re.Match[str]) -> Fraction | None:
    digits = match["digits"]
    if len(digits) > MAX_NUMBER_LENGTH:
        return None
    value = Fraction(digits.replace(",", "") + (match["power"] or ""))
    return -value if match["sign"] == "-" else value
