"""Docstrings as the API page prints them: Sphinx roles as code, tables in their own spacing."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:meth|class|func|attr|mod|data):`~?([\w.]+)`")
TABLE = re.compile(r"^=+(?: =+)+\n.*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class Readable(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called once per object of the package."""
        if obj.docstring:
            text = ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = TABLE.sub(lambda table: f"```text\n{table[0]}\n```", text)
