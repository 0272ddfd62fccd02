"""What the site makes of the code when it is built: command line, keys, API list, formulas.

mkdocs calls the two hooks at the end. A page asks for a part by a comment
``<!-- generated: cli fit -->``, ``<!-- generated: keys model lit_entropy.EntropyModule -->`` or
``<!-- generated: api lit_entropy.losses -->``.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import warnings
from functools import cache
from html import unescape
from importlib import import_module
from itertools import cycle
from typing import Any

import rooms

MARK = re.compile(r"<!-- generated: (\w+) ([^>]*?) -->")
ROLE = re.compile(r":(?:meth|class|func|attr|mod|data):`~?([\w.]+)`")
LETTER = re.compile(r'<mi mathvariant="(script|double-struck)">(\w)</mi>')
ENTITIES = {"script": "scr", "double-struck": "opf"}
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
HEADING, CELL = re.compile(r"<th[ >].*?</th>", re.DOTALL), re.compile(r"<td(?=[ >])")
CODE, WORD = re.compile(r"<code>.*?</code>", re.DOTALL), re.compile(r"--[a-z][\w.+]*|lit-entropy")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def plain(text: str) -> str:
    """A docstring's sentence as a cell of a table."""
    words = " ".join(ROLE.sub(r"`\1`", text).replace("``", "`").split())
    return "`".join(
        part if inside else part.replace("|", r"\|")
        for inside, part in zip(cycle([False, True]), words.split("`"), strict=False)
    )


@cache
def cli(words: str) -> str:
    """The help of ``lit-entropy WORDS`` as a code block; the options' names alone are left out."""
    from lit_entropy.cli.main import main

    shown = io.StringIO()
    with (
        warnings.catch_warnings(action="ignore"),  # Lightning's, about arguments from Python
        contextlib.redirect_stdout(shown),
        contextlib.suppress(SystemExit),
    ):
        main([*words.split(), "--help"])
    usage, _, rest = shown.getvalue().partition("\n\n")
    command = " ".join(["lit-entropy", *words.split(), "[options]"])
    positional = " RUN [RUN ...]" if re.search(r"\n\s+runs \[runs", usage) else ""
    return f"```text\nusage: {command}{positional}\n\n{rest.rstrip()}\n```".replace(" \b", "")


def named(path: str) -> Any:
    """The object of a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def annotation_text(annotation: Any) -> str:
    """A type as it is written, without the names of modules."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)


def default_text(parameter: inspect.Parameter) -> str:
    """A default as YAML would have it; a function by its code."""
    default = parameter.default
    if default is parameter.empty:
        return "required"
    if default is None or isinstance(default, bool):
        return f"`{str(default).lower().replace('none', 'null')}`"
    if repr(default) == "<factory>":  # of a dataclass
        return "empty"
    if callable(default):
        return "see the text"
    return f"`{default}`"


def described(kind: type) -> dict[str, str]:
    """The ``Args`` of a class and of its ``__init__``, by name."""
    from docstring_parser import parse

    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        for text in (owner.__doc__, vars(owner).get("__init__", object).__doc__):
            if owner.__module__.startswith("lit_entropy") and text:
                found |= {item.arg_name: item.description or "" for item in parse(text).params}
    return found


def keys(words: str) -> str:
    """A table of the keys that a class takes: ``PREFIX PATH``, or ``- PATH`` under init_args."""
    prefix, path = words.split()
    kind = named(path)
    texts = described(kind)
    start = "" if prefix == "-" else f"{prefix}."
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind_text = annotation_text(parameter.annotation)
        meaning = plain(texts.get(name, ""))
        lines.append(f"| `{start}{name}` | `{kind_text}` | {default_text(parameter)} | {meaning} |")
    return "\n".join(lines) if len(lines) > 2 else "It takes no arguments."


def parts(package: str) -> str:
    """The keys of every public class of a package, each under its short public name."""
    module = import_module(package)
    sections = []
    for name in module.__all__:
        kind = getattr(module, name)
        if not inspect.isabstract(kind) and not issubclass(kind, Exception):
            first = plain((kind.__doc__ or "").strip().split("\n\n")[0])
            table = keys(f"- {package}.{name}")
            sections.append(f"### {name}\n\n`{package}.{name}`: {first}\n\n{table}")
    return "\n\n".join(sections)


def api(package: str) -> str:
    """mkdocstrings' directives of the public names of a package."""
    names = import_module(package).__all__
    return "\n\n".join(f"::: {package}.{name}" for name in names)


def import_graph(part: str) -> str:
    """The import graph of the rooms: its ``picture`` or its ``table``."""
    return rooms.picture() if part == "picture" else rooms.table()


PARTS = {"cli": cli, "keys": keys, "parts": parts, "api": api, "rooms": import_graph}


def to_mathml(found: re.Match[str]) -> str:
    """One formula as MathML, which browsers draw by themselves: no script, no font, no network."""
    from latex2mathml.converter import convert

    tag, opening, formula = found.groups()
    math = convert(unescape(formula), display="block" if opening == "[" else "inline")
    # browsers draw such letters as characters of their own, no more by the attribute
    math = LETTER.sub(lambda letter: f"<mi>&{letter[2]}{ENTITIES[letter[1]]};</mi>", math)
    return f'<{tag} class="arithmatex">{math}</{tag}>'


def labelled(found: re.Match[str]) -> str:
    """A table whose cells know their headings: on a phone they stand one below the other."""
    headings = cycle(re.sub(r"<[^>]+>", "", head) for head in HEADING.findall(found[0]))
    return CELL.sub(lambda cell: f'{cell[0]} data-label="{next(headings)}"', found[0])


def on_page_markdown(markdown: str, **_: object) -> str:
    """mkdocs' hook: fill in what a page asks for."""
    return MARK.sub(lambda found: PARTS[found[1]](found[2]), markdown)


def on_page_content(html: str, **_: object) -> str:
    """mkdocs' hook: draw the formulas, write each cell's heading beside it, keep flags whole."""
    html = TABLE.sub(labelled, FORMULA.sub(to_mathml, html))
    return CODE.sub(lambda code: WORD.sub(r'<span class="whole">\g<0></span>', code[0]), html)
