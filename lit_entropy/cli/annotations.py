"""What the annotation of a key accepts, and what the classes that it accepts take."""

import inspect
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, get_args, get_type_hints

from jsonargparse import ArgumentParser

#: Arguments that the run gives: to any class, to an optimizer, to a schedule of learning rates.
_GIVEN = ("self", "params", "optimizer")


def type_of(key: str, parser: ArgumentParser, paths: Sequence[str]) -> object:
    """The annotation of a key, which may be an argument of a class that was named.

    Args:
        key: dotted.
        parser: of the subcommand.
        paths: class paths on the way to the key, the innermost last.
    """
    if paths and (cls := imported(paths[-1])) is not None:
        hints = get_type_hints(inspect.getattr_static(cls, "__init__"))
        return hints.get(key.rpartition(".")[2])
    types = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    return types.get(key)


def classes_of(annotation: Any) -> Iterator[type]:
    """Every concrete class that an annotation allows; not those of plain values.

    Of a function type that is what it returns: a list in it holds what the run gives.
    """
    for part in get_args(annotation):
        if not isinstance(part, list):
            yield from classes_of(part)
    if not isinstance(annotation, type) or annotation.__module__ == "builtins":
        return
    if not inspect.isabstract(annotation) and not annotation.__name__.startswith("_"):
        yield annotation
    subclasses: list[type] = annotation.__subclasses__()
    for subclass in subclasses:
        yield from classes_of(subclass)


def parameters_of(cls: type) -> list[str]:
    """The arguments of a class that a configuration sets."""
    return [name for name in inspect.signature(cls).parameters if name not in _GIVEN]


def imported(path: str) -> type | None:
    """The class of a path that the parser has imported; None where it is none."""
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name, None)
    return found if isinstance(found, type) else None
