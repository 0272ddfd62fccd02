"""Objects from the configuration inside a checkpoint, which is data: it names known classes."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lit_entropy.errors import CheckpointError
from lit_entropy.moved import LONG_NAMES, current_name
from lit_entropy.types import Config, State

#: Where the classes lie that a configuration may name: this project's own, and those of optimizers,
#: which are given their parameters later.
_OWN = "lit_entropy."
_LATER = ("torch.optim.", "lightning.pytorch.cli.ReduceLROnPlateau")


def configuration_in(state: State, path: str | Path) -> Config:
    """The configuration that a fit has put beside the weights.

    Raises:
        CheckpointError: there is none.
    """
    configuration = state.get("configuration")
    if not isinstance(configuration, dict) or "rl_steps" not in state:
        raise CheckpointError(
            f"{path} does not record its configuration: it was not written by lit-entropy fit"
        )
    return configuration


def module_arguments(cls: type, config: Config, given: Config, path: str | Path) -> dict[str, Any]:
    """The arguments of a module's constructor.

    Args:
        cls: class of the module.
        config: what the configuration says under ``model``.
        given: arguments that take the place of configured ones.
        path: the checkpoint, for messages.

    Raises:
        CheckpointError: the run's module is another class, or a part of it lies outside of this
            project and is not given; names each.
    """
    named = str(config.get("class_path", f"{_OWN}EntropyModule"))
    short = f"{cls.__module__}.{cls.__name__}"
    if LONG_NAMES.get(named, named) != LONG_NAMES.get(short, short):
        raise CheckpointError(f"{path} is of a {named}, not of a {short}: call that class's method")
    configured = {key: x for key, x in config.items() if key not in (*given, "class_path")}
    unknown = sorted({name for name in _class_paths(configured) if not _allowed(name)})
    if unknown:
        raise CheckpointError(
            f"{path} names {', '.join(unknown)}, and a checkpoint's text imports no code from "
            "outside of this project: give these parts as keyword arguments, as in "
            "load_from_checkpoint(path, loss=MyLoss())"
        )
    hints = _hints(cls)
    parts = {key: _built(value, hints.get(key)) for key, value in configured.items()}
    return parts | dict(given)


def _class_paths(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield str(value["class_path"])
        for item in value.values():
            yield from _class_paths(item)
    elif isinstance(value, list):
        for item in value:
            yield from _class_paths(item)


def _allowed(name: str) -> bool:
    return name.startswith((_OWN, *_LATER))


def _built(value: Any, annotation: Any) -> Any:
    """A value as a constructor takes it: components, records and tuples in place of plain ones."""
    if isinstance(value, Mapping) and "class_path" in value:
        return _component(str(value["class_path"]), value.get("init_args") or {}, annotation)
    kinds = list(_kinds(annotation))
    if isinstance(value, Mapping):
        record = next((kind for kind in kinds if is_dataclass(kind)), None)
        if isinstance(record, type):
            return record(**_arguments(record, value))
        item = next((get_args(kind)[1] for kind in kinds if get_origin(kind) is dict), None)
        return {key: _built(entry, item) for key, entry in value.items()}
    if isinstance(value, list):
        inner = next((get_args(kind)[0] for kind in kinds if get_origin(kind) is list), None)
        items = [_built(entry, inner) for entry in value]
        return tuple(items) if any(get_origin(kind) is tuple for kind in kinds) else items
    return value


def _component(path: str, values: Config, annotation: Any) -> object:
    """An object, or a function that makes it from the parameters of an optimizer.

    Raises:
        CheckpointError: the name is not that of a class which may stand there.
    """
    module, _, word = current_name(path).rpartition(".")
    found = getattr(import_module(module), word, None)
    later = path.startswith(_LATER)
    bases = (Optimizer, LRScheduler, ReduceLROnPlateau) if later else tuple(_classes(annotation))
    if not (isinstance(found, type) and issubclass(found, bases)):
        names = " or ".join(base.__name__ for base in bases) or "component"
        raise CheckpointError(f"the checkpoint's configuration names {path}, which is no {names}")
    arguments = _arguments(found, values)
    return partial(found, **arguments) if later else found(**arguments)


def _classes(annotation: Any) -> Iterator[type]:
    yield from (kind for kind in _kinds(annotation) if isinstance(kind, type))


def _arguments(cls: type, values: Config) -> dict[str, Any]:
    hints = _hints(cls)
    return {key: _built(value, hints.get(key)) for key, value in values.items()}


def _hints(cls: type) -> dict[str, Any]:
    """The annotations of a class's arguments; a constructor may pass on those of its base."""
    if is_dataclass(cls):
        return get_type_hints(cls)
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] not in ("builtins", "torch", "lightning"):
            hints |= get_type_hints(inspect.getattr_static(base, "__init__"))
    return hints


def _kinds(annotation: Any) -> Iterator[Any]:
    """The members of a union, or the annotation itself."""
    yield annotation
    if get_origin(annotation) not in (dict, list, tuple):
        yield from get_args(annotation)
