"""Which values are read as files: those of components in YAML, and nothing else.

jsonargparse opens whatever text names an existing file where a class is accepted, by its own and
in lists and records: a data set, or a file of the working directory that is called ``cpu`` or
``KLCov``, would be read as a configuration, and what it names imported. Here text stays text
unless its name is that of a YAML file and a component is accepted, and where plain text is
accepted beside plain records, as for data sets, it is never opened.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from jsonargparse import ArgumentParser, Path, _paths, _typehints, _util

from lit_entropy.shipped import SUFFIXES

_PLAIN = (str, int, float, bool, type(None))


def install(guards: Callable[[], bool]) -> None:
    """Let jsonargparse open files of components by their names alone.

    It replaces a private name: what is public (``sub_configs``, which LightningCLI sets, the read
    mode, loaders of text) opens files everywhere or nowhere, and no loader is told a file's name.

    Args:
        guards: whether the parser at work is one of this package; others open what they did.
    """

    class ComponentFile(Path):
        """A path that exists for the parser only if it is named as a component's file."""

        def __init__(self, path: Any, *args: Any, **options: Any) -> None:
            if guards() and not is_component_file(os.fspath(path)):
                raise _paths.PathError(f"{path!r} is no name of a component's file")
            super().__init__(path, *args, **options)

    for module in (_util, _typehints):
        # a private name: a version that renames it must not pass unnoticed
        if not issubclass(getattr(module, "Path", object), Path):
            raise RuntimeError(
                f"{module.__name__} has no Path: take a version of jsonargparse that "
                "constraints.txt names"
            )
        setattr(module, "Path", ComponentFile)  # noqa: B010


def is_component_file(name: str) -> bool:
    """Whether a text is the name of a YAML file, existing or not."""
    return name.endswith(SUFFIXES)


def keep_text(parser: ArgumentParser) -> None:
    """Let no argument of a parser open files where text stands beside plain records.

    Args:
        parser: with its arguments; those of classes inside have parsers of their own.
    """
    for action in parser._actions:
        if isinstance(action, _typehints.ActionTypeHint):
            action._enable_path = action._enable_path and names_component(action._typehint)


def names_component(annotation: Any) -> bool:
    """Whether a text may stand for the file of a component that an annotation accepts.

    Args:
        annotation: of an argument. A union of text with data classes accepts text as it is, one of
            text with other classes (``str | Strategy``) the file of such a class as well.
    """
    parts = list(_parts(annotation))
    if get_origin(annotation) in (Union, UnionType) and str in parts:
        return any(_is_component(part) for part in parts)
    if parts:
        return any(names_component(part) for part in parts)
    return inspect.isclass(annotation) and annotation not in _PLAIN


def _is_component(annotation: Any) -> bool:
    parts = list(_parts(annotation))
    if parts:
        return any(_is_component(part) for part in parts)
    return inspect.isclass(annotation) and not (annotation in _PLAIN or is_dataclass(annotation))


def _parts(annotation: Any) -> Iterator[Any]:
    """What a union, a container or a function type is made of; nothing for a class."""
    for part in get_args(annotation):
        yield from part if isinstance(part, list) else [part]
