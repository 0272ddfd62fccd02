"""YAML of anyone: never executed, nested a hundred levels at most, refused in one line."""

import re
from pathlib import Path
from typing import Any

import yaml

#: Levels of braces and brackets; without a limit 3,000 of them take seconds of PyYAML.
DEEPEST = 100
#: What no UTF-8 has: half a pair in YAML, or Python's stand-in for a byte of a command.
SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = "nested too deeply: a configuration has a few levels"


class ShallowLoader(yaml.SafeLoader):
    """The safe loader, with a limit to braces in braces."""

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:
        """Begin a mapping in braces or a list in brackets, up to :data:`DEEPEST` levels."""
        if self.flow_level >= DEEPEST:
            raise yaml.YAMLError(_TOO_DEEP)
        super().fetch_flow_collection_start(TokenClass)

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        r"""A text as it stands; ``"\ud83d"``, half a surrogate pair, is none."""
        if SURROGATE.search(node.value):
            problem = f"{node.value!a:.200} holds half a surrogate pair, which is no text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        text: str = super().construct_scalar(node)
        return text


def load_yaml(text: str, loader: type[ShallowLoader] = ShallowLoader) -> Any:
    """The value of a YAML text.

    Args:
        text: of anyone.
        loader: what plain words mean; by default as in YAML 1.1.

    Raises:
        yaml.YAMLError: not YAML, or nested too deeply.
    """
    try:
        return yaml.load(text, loader)  # a safe loader
    except RecursionError as error:
        raise yaml.YAMLError(_TOO_DEEP) from error
    except (ValueError, OverflowError) as error:  # of a number: 1_, 5,000 digits; of a date
        raise yaml.YAMLError(str(error).partition(";")[0]) from error


def read_yaml(path: Path, loader: type[ShallowLoader] = ShallowLoader) -> Any:
    """The value of a YAML file.

    Args:
        path: of the file.
        loader: as in :func:`load_yaml`.

    Raises:
        ValueError: one line with the file, the place in it and what is wrong: it is a folder, not
            to be read, not UTF-8, or not YAML.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file in it")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte 0x{error.object[error.start]:02x} is no UTF-8; save the "
            "file as UTF-8"
        ) from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return load_yaml(text, loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}, {yaml_fault(error)}") from error


def yaml_fault(error: yaml.YAMLError) -> str:
    """Line and column of a mistake in YAML, and what it is, in one line."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1} is no text (#x{error.character:04x}); remove it"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    context = ""
    if error.context:
        start = error.context_mark
        other = start is not None and start.line != mark.line
        context = f"{error.context}{f' from line {start.line + 1}' if other else ''}, "
    return f"line {mark.line + 1}, column {mark.column + 1}: {context}{error.problem}"
