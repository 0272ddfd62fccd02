"""Subclasses of the module and of the data module, named where their keys stand."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from lit_entropy.cli.component_files import is_component_file
from lit_entropy.cli.imports import import_fault
from lit_entropy.cli.values import read_values
from lit_entropy.closest import no_such_file

#: Where their keys stand -> the classes of the project, imported where they are needed.
BASES = {"model": "lit_entropy.module.EntropyModule", "data": "lit_entropy.data.PromptDataModule"}


class Chosen(NamedTuple):
    """What a command says of the two classes, and its other words.

    Attributes:
        paths: class paths by ``model`` and ``data``; a class that is not named is left out.
        arguments: the words of the command without those that name a class.
        named: every class path that stands there, also those that a later one replaces.
    """

    paths: dict[str, str]
    arguments: list[str]
    named: frozenset[str]


def choose(arguments: Sequence[str]) -> Chosen:
    """Find ``--model my.SubModule`` and ``model: {class_path: my.SubModule}``; the last one counts.

    The second may stand in an experiment's file, in ``--model file.yaml`` without the key, or in a
    file that an experiment's names: ``model: file.yaml``.

    Args:
        arguments: the words of a command, its files found.

    Raises:
        ValueError: a file of the module or of the data module that is not there.
    """
    found: list[tuple[str, str]] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        key = flag.strip("-") if flag.startswith("-") else ""
        if key in ("c", "config") or key.removesuffix(".class_path") in BASES:
            value = value if equals else next(words, "")
            group = key.removesuffix(".class_path")
            if group in BASES and not _holds_values(group, value):
                found.append((group, value))
                continue
            found += _class_of(group, Path(value)) if group in BASES else _named(Path(value))
            rest += [word] if equals else [word, value]
            continue
        for group in BASES:
            word = word.replace(f"--{group}.init_args.", f"--{group}.", 1)
        rest.append(word)
    return Chosen(dict(found), rest, frozenset(path for _, path in found))


def base_class(group: str) -> type:
    """The project's own class of ``model`` or ``data``."""
    module, _, name = BASES[group].rpartition(".")
    base: type = getattr(import_module(module), name)
    return base


def load_class(group: str, path: str) -> type:
    """The class that a path names.

    Args:
        group: ``model`` or ``data``.
        path: ``module.Class``.

    Raises:
        ValueError: there is no such class, or it is not a subclass of the one that it replaces.
    """
    base = base_class(group)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{group}={path}: {import_fault(path) or error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(
            f"{group}={path}: no subclass of lit_entropy.{base.__name__}; give module.Class of one"
        )
    return found


def flat(values: Any, named: Collection[str] = ()) -> Any:
    """Values of a file with the arguments of the two classes where those of the base stand.

    Args:
        values: of an experiment's file, of a component's, or of a flag.
        named: class paths of modules and data modules: a file that starts with one of them is
            theirs.
    """
    if not isinstance(values, dict):
        return values
    if values.get("class_path") in named:
        return _arguments(values)
    for group in values.keys() & BASES.keys():
        part = values[group]
        if isinstance(part, dict) and "class_path" in part:
            values = values | {group: _arguments(part)}
    return {
        name: flat(item) if isinstance(item, dict) and item.keys() & BASES.keys() else item
        for name, item in values.items()
    }


def with_paths(text: str, paths: Mapping[str, str]) -> str:
    """A configuration as text, with the class paths of the two classes before their arguments."""
    for group, path in paths.items():
        text = text.replace(f"\n{group}:\n", f"\n{group}:\n  class_path: {path}\n", 1)
    return text


def _arguments(part: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: item for key, item in part.items() if key not in ("class_path", "init_args")}
    return own | (part.get("init_args") or {})


def _holds_values(group: str, value: str) -> bool:
    """Whether what follows ``--model`` is a file of its arguments, not a class."""
    if not is_component_file(value):
        return False
    if not os.path.exists(value):
        raise ValueError(f"{group}={value}: {no_such_file(value)} (or name a module.Class)")
    return True


def _named(file: Path) -> Iterator[tuple[str, str]]:
    """Class paths in an experiment's file and in the files of the two classes that it names."""
    values = _values(file)
    parts = [values, *values.values()] if isinstance(values, dict) else []
    for part in parts:  # of the file, or of a subcommand in it
        for group in BASES:
            entry = part.get(group) if isinstance(part, dict) else None
            if (
                isinstance(entry, str)
                and is_component_file(entry)
                and os.path.isfile(file.parent / entry)
            ):
                yield from _class_of(group, file.parent / entry)
            elif isinstance(entry, dict) and isinstance(entry.get("class_path"), str):
                yield group, entry["class_path"]


def _class_of(group: str, file: Path) -> Iterator[tuple[str, str]]:
    """The class path that a file of the module or of the data module starts with, if any."""
    values = _values(file)
    if isinstance(values, dict) and isinstance(values.get("class_path"), str):
        yield group, values["class_path"]


def _values(file: Path) -> Any:
    """What a file holds; None where there is none, as the parser then says."""
    return read_values(file) if os.path.exists(file) else None
