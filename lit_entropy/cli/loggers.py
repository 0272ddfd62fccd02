"""Loggers that the trainer is given beside the run's own: they write into the run folder."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning.pytorch.loggers as known
from jsonargparse import Namespace
from lightning.pytorch.loggers import Logger

#: Stands for the folder of the run, which is known once it is claimed.
RUN_FOLDER = "<run folder>"
_KEY = "trainer.logger"


def with_save_dirs(words: Sequence[str]) -> list[str]:
    """The words of a command in which each logger that needs a ``save_dir`` has one.

    Args:
        words: of a command; a ``save_dir`` that follows in them counts.
    """
    ready: list[str] = []
    flag = ""
    for word in words:
        ready.append(word)
        key, equals, value = word.partition("=")
        if key.startswith("--"):
            flag = key
        if (equals or not key.startswith("--")) and flag.rstrip("+") in (
            f"--{_KEY}",
            f"--{_KEY}.class_path",
        ):
            if needs_save_dir(value if equals else word):
                ready += [f"--{_KEY}.init_args.save_dir", RUN_FOLDER]
            flag = ""
    return ready


def completed(values: Any) -> Any:
    """Values of a file in which each logger that needs a ``save_dir`` has one."""
    if isinstance(values, list):
        return [completed(item) for item in values]
    if not isinstance(values, dict):
        return values
    if isinstance(values.get("class_path"), str) and needs_save_dir(values["class_path"]):
        arguments = values.get("init_args") or {}
        return values | {"init_args": {"save_dir": RUN_FOLDER} | arguments}
    changed = {}
    for key, item in values.items():
        if key == "trainer" and isinstance(item, dict) and item.get("logger"):
            changed[key] = item | {"logger": _loggers(item["logger"])}
        elif isinstance(item, dict) and "trainer" in item:  # of a subcommand
            changed[key] = completed(item)
    return values | changed


def _loggers(value: Any) -> Any:
    if isinstance(value, list):
        return [_loggers(item) for item in value]
    if isinstance(value, str) and needs_save_dir(value):
        value = {"class_path": value}
    return completed(value)


def needs_save_dir(path: str) -> bool:
    """Whether a name is that of a logger without a default for its ``save_dir``."""
    parameter = _save_dir(path)
    return parameter is not None and parameter.default is parameter.empty


def _save_dir(path: str) -> inspect.Parameter | None:
    """The parameter ``save_dir`` of a logger's class; what is wrong with it the parser says."""
    module, _, name = path.rpartition(".")
    if not name.isidentifier():
        return None
    try:
        found = getattr(import_module(module) if module else known, name, None)
    except (ImportError, ValueError):
        return None
    if not (isinstance(found, type) and issubclass(found, Logger)):
        return None
    return inspect.signature(found).parameters.get("save_dir")


@contextmanager
def in_run_folder(trainer: Namespace, folder: Path) -> Iterator[None]:
    """Within the block loggers without a ``save_dir`` of their own have one in the run folder.

    The configuration that is saved keeps what it was given, so that another run of it writes into
    its own folder.

    Args:
        trainer: the settings of the trainer.
        folder: of the run.
    """
    given = trainer.get("logger")
    entries = given if isinstance(given, list) else [given]
    changed: list[tuple[Namespace, object]] = []
    for entry in entries:
        if not isinstance(entry, Namespace) or "class_path" not in entry:
            continue
        parameter, arguments = _save_dir(entry.class_path), entry.get("init_args")
        if parameter is None or not isinstance(arguments, Namespace):
            continue
        value = arguments.get("save_dir")
        if value == RUN_FOLDER or value == parameter.default:
            changed.append((arguments, value))
            below = parameter.default if isinstance(parameter.default, str) else "."
            arguments.save_dir = str(folder / below)
    try:
        yield
    finally:
        for arguments, value in changed:
            arguments.save_dir = value
