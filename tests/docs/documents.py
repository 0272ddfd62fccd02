"""The README and the pages of the site, and the code blocks in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- ([^>]+?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
LOOP = re.compile(r"for (\w+) in ([^;]+); do (.*); done")


class Block(NamedTuple):
    """A code block: the comment ``<!-- label -->`` before it, its language, and its text."""

    page: Path
    label: str
    language: str
    text: str


def blocks(pages: list[Path] = PAGES) -> list[Block]:
    """Every code block, page after page."""
    return [Block(page, *found) for page in pages for found in BLOCK.findall(page.read_text())]


def labelled(label: str, page: Path = README) -> list[str]:
    """The texts of a page's blocks under a label."""
    return [block.text for block in blocks([page]) if block.label == label]


def commands(block: Block) -> list[list[str]]:
    """The words of each ``lit-entropy`` command of a shell block; loops over values unrolled."""
    lines: list[str] = []
    for line in block.text.splitlines():
        if loop := LOOP.fullmatch(line):
            name, values, body = loop.groups()
            lines += [re.sub(rf"\${name}\b", value, body) for value in values.split()]
        else:
            lines.append(line)
    words = [shlex.split(line, comments=True) for line in lines]
    words = [line[1:] if line[:1] == ["PYTHONPATH=."] else line for line in words]
    return [line for line in words if line[:1] == ["lit-entropy"]]
