r"""Verdicts on mathematical answers that need no algebra, and the forms that it would misread.

Texts are in the notation of :func:`~lit_entropy.verify.notation.latex_notation`.
"""

import re
from fractions import Fraction

from lit_entropy.verify.answers import parse_number

#: Numbers agree to six decimals, and below 1 to six significant digits; integers exactly.
TOLERANCE = Fraction(1, 10**6)

_SPELLINGS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])"), ""),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\[,;:! ]|[\s$~]"), ""),
)
_FRACTION = re.compile(
    r"(?P<sign>[+-]?)(?:\\frac\{(?P<over>[+-]?\d{1,30})\}\{(?P<under>[+-]?\d{1,30})\}|"
    r"(?P<left>\d{1,30})/(?P<right>\d{1,30})|10\^\{?(?P<power>[+-]?\d{1,3})\}?)",
    re.ASCII,
)
_BASED = re.compile(r"(?P<digits>[0-9A-Z]*\d[0-9A-Z]*)(?:_\{(?P<base>\w+)\})?", re.ASCII)
# Algebra would add them: "5 6" is read as 5 + 6, as in a mixed number.
_SIDE_BY_SIDE = re.compile(r"(?<![\w^}])\d+\s+\.?\d", re.ASCII)
# A list or an interval is no number, although [5,5] and {5,5} as sets hold one.
_COLLECTION = re.compile(r"(?:\\left)?(?:[\[(]|\\?\{).*,.*", re.DOTALL)
# After a space, where a number is asked for: "20 m" is 20, and "20m" a product.
_LETTER_UNIT = re.compile(r"(?<=\d)\s+[mgsLNJWVAKC](?:\^\{?-?\d\}?)?\Z")
_BRACKETS = re.compile(r"(?:\\left|\\right)?\s*(\\[{}]|[()\[\]])|(,)")
_NAMED = re.compile(r"[^=<>]*?(?:=|\\in(?![a-zA-Z]))\s*(?=\\left|\\\{|[(\[])")
_ALTERNATIVES = re.compile(r"(?<![a-zA-Z])(?:or|either|accept(?:s|ed)?)(?![a-zA-Z])", re.IGNORECASE)
_REMARK = re.compile(r"\([^()=]*[a-z]{3,}\s+[a-z]{3,}[^()=]*\)", re.IGNORECASE)


def canonical(text: str) -> str:
    """A text that is the same for answers that differ in spelling alone; numbers as fractions."""
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    value = exact_value(text)
    return text if value is None else str(value)


def exact_value(text: str) -> Fraction | None:
    r"""The value of an integer, a decimal, ``a/b``, ``\frac{a}{b}`` or ``10^{n}``; else None."""
    match = _FRACTION.fullmatch(text.strip())
    if match is None:
        return parse_number(text)
    if match["power"]:
        value = Fraction(10) ** int(match["power"])
    else:
        over, under = match["over"] or match["left"], match["under"] or match["right"]
        if int(under) == 0:
            return None
        value = Fraction(int(over), int(under))
    return -value if match["sign"] == "-" else value


def plain_verdict(gold: str, answer: str) -> bool | None:
    """Whether two answers are equal, where it shows without algebra; None where it does not."""
    if not_readable(answer):
        return False
    if canonical(gold) == canonical(answer):
        return True
    if (verdict := _based_verdict(gold, answer)) is not None:
        return verdict
    value = None if "%" in gold + answer else exact_value(gold)  # 50% is 0.5 and 50
    if value is not None:
        other = exact_value(_LETTER_UNIT.sub("", answer))
        if other is not None:
            return agree(value, other)
        if value.denominator == 1 and _COLLECTION.fullmatch(answer):
            return False
    return False if _brackets_differ(gold, answer) else None


def agree(gold: Fraction, answer: Fraction) -> bool:
    """Whether two numbers are equal up to rounding; a whole gold number is only itself."""
    if gold.denominator == 1:
        return gold == answer
    return abs(gold - answer) <= TOLERANCE * min(Fraction(1), abs(gold))


def not_readable(text: str) -> str:
    """Why a text is no answer, although algebra would make one of it; empty where it is one."""
    if _SIDE_BY_SIDE.search(text):
        return "has two numbers side by side"
    match = _BASED.fullmatch(text)
    if match and match["base"] and not _is_base(match["base"]):
        return f"has the subscript {match['base']}, which is no base of digits"
    return ""


def gold_fault(text: str) -> str:
    """Why a reference answer is not one answer; empty where it is.

    ``x=1 or x=2`` names the solutions of an equation, ``80 or 81`` answers that are both accepted.
    """
    if reason := not_readable(text):
        return reason
    if _REMARK.search(text):
        return "holds a remark"
    if "=" not in text and _ALTERNATIVES.search(text):
        return "names alternatives; write one answer, or a list such as 1,2"
    return ""


def _is_base(text: str) -> bool:
    return text.isdecimal() and not text.startswith("0") and 2 <= int(text[:4]) <= 36


def _based_verdict(gold: str, answer: str) -> bool | None:
    """Of digits with a base, the digits and the base; one of them may leave the base out."""
    one, other = _BASED.fullmatch(gold), _BASED.fullmatch(answer)
    if one is None or other is None or not (one["base"] or other["base"]):
        return None
    bases = {match["base"] for match in (one, other)} - {None}
    return one["digits"] == other["digits"] and len(bases) == 1


def _brackets_differ(gold: str, answer: str) -> bool:
    """A set is no tuple or interval, and an interval is open or closed."""
    one, other = _enclosure(gold), _enclosure(answer)
    if one is None or other is None or min(one[1], other[1]) == 0:
        return False
    if (one[0] == r"\{\}") != (other[0] == r"\{\}"):
        return True
    return one[1] == other[1] == 1 and one[0] != other[0]


def _enclosure(text: str) -> tuple[str, int] | None:
    """The brackets around the whole of a text and the commas right inside; None without them."""
    text = _NAMED.sub("", text, count=1).strip()
    opening, depth, commas = "", 0, 0
    for match in _BRACKETS.finditer(text):
        bracket = match[1]
        if bracket is None:
            commas += depth == 1
        elif bracket[-1] in "([{":
            if depth == 0 and (opening or match.start() > 0):
                return None
            opening = opening or bracket
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                whole = match.end() == len(text)
                return (opening + bracket, commas) if whole and opening else None
    return None
