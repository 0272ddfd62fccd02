"""Subclasses of the module and of the data module, named where their keys stand."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lit_entropy.cli.values import ConfigLoader

#: Where their keys stand -> the classes of the project, imported where they are needed.
BASES = {"model": "lit_entropy.module.EntropyModule", "data": "lit_entropy.data.PromptDataModule"}


class Chosen(NamedTuple):
    """What a command says of the two classes, and its other words.

    Attributes:
        paths: class paths by ``model`` and ``data``; a class that is not named is left out.
        arguments: the words of the command without those that name a class.
    """

    paths: dict[str, str]
    arguments: list[str]


def choose(arguments: Sequence[str]) -> Chosen:
    """Find ``--model my.SubModule`` and ``model: {class_path: my.SubModule}``; the last one counts.

    Args:
        arguments: the words of a command, its files found.
    """
    paths: dict[str, str] = {}
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        key = flag.strip("-") if flag.startswith("-") else ""
        if key in ("c", "config") or key.removesuffix(".class_path") in BASES:
            value = value if equals else next(words, "")
            if key not in ("c", "config") and not Path(value).is_file():
                paths[key.removesuffix(".class_path")] = value
                continue
            paths |= dict(_named(value)) if key in ("c", "config") else {}
            rest += [word] if equals else [word, value]
            continue
        for group in BASES:
            word = word.replace(f"--{group}.init_args.", f"--{group}.", 1)
        rest.append(word)
    return Chosen(paths, rest)


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
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(
            f"{group}={path}: {error}; give module.Class of a module that Python finds "
            "(PYTHONPATH=. for one beside you)"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(
            f"{group}={path}: no subclass of lit_entropy.{base.__name__}; give module.Class of one"
        )
    return found


def flat(values: Any) -> Any:
    """Values of a file with the arguments of the two classes where those of the base stand."""
    if not isinstance(values, dict):
        return values
    for group in values.keys() & BASES.keys():
        part = values[group]
        if isinstance(part, dict) and "class_path" in part:
            own = {
                key: item for key, item in part.items() if key not in ("class_path", "init_args")
            }
            values = values | {group: own | (part.get("init_args") or {})}
    return {
        name: flat(item) if isinstance(item, dict) and item.keys() & BASES.keys() else item
        for name, item in values.items()
    }


def with_paths(text: str, paths: Mapping[str, str]) -> str:
    """A configuration as text, with the class paths of the two classes before their arguments."""
    for group, path in paths.items():
        text = text.replace(f"\n{group}:\n", f"\n{group}:\n  class_path: {path}\n", 1)
    return text


def _named(file: str) -> Iterator[tuple[str, str]]:
    """Class paths in a configuration file; what is wrong with it the parser says."""
    try:
        values = yaml.load(Path(file).read_text(), ConfigLoader)  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    parts = [values, *values.values()] if isinstance(values, dict) else []
    for part in parts:  # of the file, or of a subcommand in it
        for group in BASES:
            entry = part.get(group) if isinstance(part, dict) else None
            if isinstance(entry, dict) and isinstance(entry.get("class_path"), str):
                yield group, entry["class_path"]
