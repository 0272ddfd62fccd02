r"""One notation for written answers: what people and models write, in the LaTeX that is read.

``−5`` (a Unicode minus), ``90°``, ``1\,000``, ``4.5e33``, ``3 1/2`` and ``15 cm²`` are plain to a
reader and misread by a parser: as no mathematics, as a product with Euler's e, as a sum. Here each
becomes ``-5``, ``90^\circ``, ``1000``, ``4.5\times 10^{33}``, ``3\frac{1}{2}`` and ``15``. Nothing
is evaluated, and texts that are in this notation stay as they are.
"""

import re

_DASHES = "\u2212\u2010\u2011\u2012\u2013\ufe63"
_SPACES = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_ASCII = str.maketrans(
    dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_SPACES, " ")
    | dict.fromkeys(_INVISIBLE, "")
    | {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
)
_SYMBOLS = str.maketrans(
    {
        "°": r"^\circ ", "º": r"^\circ ", "˚": r"^\circ ", "×": r"\times ", "·": r"\cdot ",  # noqa: RUF001
        "⋅": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ", "π": r"\pi ", "θ": r"\theta ",
        "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ", "μ": r"\mu ", "φ": r"\phi ",  # noqa: RUF001
        "ω": r"\omega ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",  # noqa: RUF001
        "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∅": r"\emptyset ",
        "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}", "⅙": r"\frac{1}{6}", "⅛": r"\frac{1}{8}",
    }
)  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT = re.compile(r"(?<=[\w)}\]])[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+(?:\.\d+)?|[a-zA-Z]))")
# A comma alone also separates lists, so it is left to the readers of numbers.
_GROUPS = re.compile(
    r"(?<![\w.,^{}\\])[1-9]\d{0,2}(?:(?:\{,\}|,\\!\s?|\\[,;:! ]|[ ~])\d{3})++(?![\w^]|[.,]?\d)",
    re.ASCII,
)
_TEXT = r"\\(?:text|textrm|textbf|textit|textnormal|mathrm|mathbf|mathit|mbox|operatorname)"
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_BASES = ["", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

_RULES = [
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"\\(?:begin|end)\{(?:aligned|gathered|split|equation\*?|align\*?)\}", " "),
        (r"\\(?:displaystyle|textstyle|quad|qquad|enspace|thinspace)(?![a-zA-Z])", " "),
        (r"\\!", ""),
        (r"(?<!\\)\\[,;:> ]|~", " "),
        (r"(?<!\\)\\[()\[\]]|\\?[$£€]", ""),
        (r"(?:(?<!\\)\\)?\s*\Z", ""),  # 12\ without its space
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\degrees?(?![a-zA-Z])|\s*\^\s*\{\s*\\circ\s*\}|\s+\^\s*\\circ", r"^\\circ"),
        (r"\\[dtc](frac|binom)(?![a-zA-Z])", r"\\\1"),
        (r"\\(frac|binom)\s*(\d)\s*(\d)", r"\\\1{\2}{\3}"),
        # text that is punctuation or a number
        (_TEXT + r"\{\s*([,;]|[+-]?[\d.,]*\d)\s*\}", r"\1"),
        (_TEXT + r"\{\s*\}", ""),
        (r"\s*(?:" + _TEXT + r"\{\s*per ?cent\s*\}|(?<=[\d\s}])per ?cent\b)", r"\\%"),
        # e-notation, which LaTeX would read as a product with Euler's number
        (_TEXT + r"\{\s*[eE]\s*\}\s*\{?\s*([+-]?\d{1,4})\s*\}?", r"e\1"),
        (r"(?<![\w.\\^_{])((?:\d+\.?\d*|\.\d+))\s?[eE]([+-]?)0*(\d{1,4})(?![\w.])",
         r"\1\\times 10^{\2\3}"),
        (r"\^\s*([+-]?\d{2,}|[+-]\d)", r"^{\1}"),  # 10^33 means 10^{33}
        (r"(?<=\d)\s*\*+\s*(?=10\^)|(?<=\d)\s*x\s*(?=10\^\{)", r"\\times "),
        (r"(?<![\w/.}^])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\w/.])", r"\1\\frac{\2}{\3}"),  # 3 1/2
        (r"(?<=\d)\s+(?=i(?![a-zA-Z]))", ""),  # 5 i is 5i
        (r"(?<=\d)\.(?=\s*(?:[^\d\s.]|\Z))", ""),  # 1./3
        (r"(?<=\d)\s*" + _TEXT + r"\{\s*(?:in\s+)?base\s*(?:\}\s*)?", "_"),
        (r"(?<=[\dA-Z])_\s*\{?\s*\(?\s*(?:" + _TEXT + r"\{\s*)?(\w+)[\s})]*\Z", r"_{\1}"),
    )
]  # fmt: skip
_BASE_WORD = re.compile(r"_\{(" + "|".join(_BASES[2:]) + r")\}\Z")
_SCALE = re.compile(
    rf"(?<=\d)\s*(?:{_TEXT}\{{\s*)?\b({'|'.join(_SCALES)})s?\b(\s+[a-z]+)*\s*\}}?\s*\Z"
)
_POWER = r"(?:\s*\^\s*\{?-?\d\}?)?"
# Units in \text{}; \mathrm{e} and \mathrm{i} are numbers, and a connective is no unit.
_UNIT_TEXT = _TEXT + r"\{(?!\s*(?:e|i|and|or|base\b)\s*\})[^{}]*\}"
_UNIT = re.compile(
    rf"(?<=[\w)}}\]!])\s*(?:{_UNIT_TEXT}{_POWER}[\s/.]*(?:\\cdot\s*)?|"
    rf"\\frac\{{{_UNIT_TEXT}{_POWER}\}}\{{{_UNIT_TEXT}{_POWER}\}}\s*)+\Z"
)
_WORDS = (
    "degrees?|deg|cents?|dollars?|[ckm]m|[mk]g|m[lL]|feet|foot|ft|inch(?:es)?|in|yards?|miles?|"
    "(?:centi|kilo|milli)?met(?:er|re)s?|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?|"
    "months?|years?|(?:kilo)?grams?|pounds?|lbs?|lit(?:er|re)s?|gallons?|units?|people|students?|"
    "points?|ways?|mph|m/s|km/h|eV|Hz|rad(?:ian)?s?"
)
_UNIT_WORD = re.compile(
    rf"(?<=[\d}})])\s*(?:(?:square|sq\.?|cubic)\s+)?(?:{_WORDS}){_POWER}\s*\Z", re.ASCII
)


def ascii_text(text: str) -> str:
    """A text with ASCII's minus, spaces, digits and letters in place of Unicode's variants."""
    return text.translate(_ASCII)


def join_groups(text: str) -> str:
    r"""Thousands that are grouped by spaces as one number: ``1 000``, ``1\,000``, ``1{,}000``."""
    return _GROUPS.sub(lambda match: re.sub(r"\D", "", match.group()), text)


def latex_notation(text: str) -> str:
    r"""A written answer in the notation that checkers read.

    Args:
        text: the answer alone, without its box; at most a few thousand characters.

    Returns:
        The same in LaTeX: symbols as commands, e-notation as a product with a power of ten, groups
        of thousands joined, spacing commands as spaces, and the units at its end left out.
    """
    text = ascii_text(text).replace("\u2044", "/")
    text = _SUPERSCRIPT.sub(lambda match: f"^{{{match.group().translate(_RAISED)}}}", text)
    text = _ROOT.sub(lambda match: rf"\sqrt{{{match[1] or match[2] or match[3]}}}", text)
    text = join_groups(text.translate(_SYMBOLS).strip()).strip()
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _BASE_WORD.sub(lambda match: f"_{{{_BASES.index(match[1])}}}", text)
    text = _SCALE.sub(lambda match: rf"\times 10^{{{_SCALES[match[1]]}}}", text)
    return _without_unit(text.strip())


def _without_unit(text: str) -> str:
    for pattern in (_UNIT, _UNIT_WORD):
        text = pattern.sub("", text)
    return text.strip()
