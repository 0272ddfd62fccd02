"""The HTML of a page as readers see it: formulas, tables on a phone, whole words, captions.

Every function takes HTML and gives HTML back; ``docs/generate.py`` calls ``finished``.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import cycle

LETTER = re.compile(r'<mi mathvariant="(script|double-struck)">(\w)</mi>')
ENTITIES = {"script": "scr", "double-struck": "opf"}
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
HEADING, CELL = re.compile(r"<th[ >].*?</th>", re.DOTALL), re.compile(r"<td(?=[ >])")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
CODE = re.compile(r"<code>.*?</code>", re.DOTALL)
TAG_OR_WORD = re.compile(r"<[^>]+>|(--[a-z][\w.+]*|lit-entropy|runs/[\w*-]+)")
PICTURE = re.compile(r'<p>(<img alt="([^"]+)" src="([^"]+)"[^>]*>)</p>')
#: What is left as it is, or a letter with its index: ``H_t``, ``z_{k+1}``, ``pi_old``.
INDEXED = re.compile(
    r"<(code|pre|math|svg)\b.*?</\1>|<[^>]+>"
    r"|(?<![\w/.])([A-Za-z\u0391-\u03c9]|pi|Cov|mean|sum)_"
    r"(?:\{([^}]+)\}|([A-Za-z\u03b1-\u03c9]+))(?![A-Za-z0-9_])",
    re.DOTALL,
)
THIN = '<mspace width="0.167em" />'
#: What latex2mathml writes, and what is spaced as TeX would space it.
SPACING = [
    (r"<mo>([A-Za-z]{2,})</mo>", r"<mi>\1</mi>"),  # Cov(y), not Cov (y)
    (r"(<mi>(?:log|min|max)</mi>)(?=<m(?:i|sub|sup)\b)", rf"\1{THIN}"),
    (r"(<mi>&#x003B7;</mi>)(?=<msub><mi>Cov)", rf"\1{THIN}"),
    (r"(<mo>&#x0(?:003D|2248);</mo>)<mo>&#x02212;</mo>", r'\1<mo form="prefix">&#x02212;</mo>'),
    (r"<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"),
    (r"<mrow><mo>&#x0003C;</mo>", '<mrow><mo lspace="0" rspace="0">&#x0003C;</mo>'),
]


def spaced(math: str) -> str:
    """MathML with the names of functions, signs and relations spaced as in print."""
    for found, given in SPACING:
        math = re.sub(found, given, math)
    return math


def to_mathml(found: re.Match[str]) -> str:
    """One formula as MathML, which browsers draw by themselves: no script, no font, no network."""
    from latex2mathml.converter import convert

    tag, opening, formula = found.groups()
    math = convert(unescape(formula), display="block" if opening == "[" else "inline")
    # browsers draw such letters as characters of their own, no more by the attribute
    math = LETTER.sub(lambda letter: f"<mi>&{letter[2]}{ENTITIES[letter[1]]};</mi>", math)
    return f'<{tag} class="arithmatex">{spaced(math)}</{tag}>'


def labelled(found: re.Match[str]) -> str:
    """A table whose cells know their headings: on a phone they stand one below the other."""
    headings = cycle(re.sub(r"<[^>]+>", "", head) for head in HEADING.findall(found[0]))
    return CELL.sub(lambda cell: f'{cell[0]} data-label="{next(headings)}"', found[0])


def whole(code: re.Match[str]) -> str:
    """Code whose flags and names of runs no line end parts; what stands within a tag is no text."""
    return TAG_OR_WORD.sub(
        lambda found: f'<span class="whole">{found[1]}</span>' if found[1] else found[0], code[0]
    )


def captioned(picture: re.Match[str]) -> str:
    """A picture with its text below it, which opens in its own size."""
    image, text, source = picture.groups()
    return (
        f'<figure class="picture"><div><a href="{source}">{image}</a></div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def lowered(found: re.Match[str]) -> str:
    """A letter with its index below the line."""
    index = found[3] or found[4]
    return f"{found[2]}<sub>{index}</sub>" if index else found[0]


def finished(html: str) -> str:
    """A page's content with formulas drawn, cells labelled, flags whole and pictures captioned."""
    html = TABLE.sub(labelled, FORMULA.sub(to_mathml, html))
    html = CODE.sub(whole, PICTURE.sub(captioned, html))
    return INDEXED.sub(lowered, html)
