"""What the site makes of the code when it is built: command line, keys and the API list.

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
from importlib import import_module
from itertools import cycle
from typing import Any

import markup
import rooms

MARK = re.compile(r"<!-- generated: (\w+) ([^>]*?) -->")
ROLE = re.compile(r":(?:meth|class|func|attr|mod|data):`~?([\w.]+)`")
FILE = re.compile(r"<!-- file (\S+) -->\n```(\w+)\n")


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


def on_page_markdown(markdown: str, **_: object) -> str:
    """mkdocs' hook: fill in what a page asks for, and name the files that it shows."""
    markdown = FILE.sub(r'```\2 title="\1"\n', markdown)
    return MARK.sub(lambda found: PARTS[found[1]](found[2]), markdown)


def on_page_content(html: str, **_: object) -> str:
    """mkdocs' hook: what ``markup.finished`` does."""
    return markup.finished(html)
