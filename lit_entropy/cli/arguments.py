"""What was typed, made ready for the parser: shipped configurations found, old names refused."""

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lit_entropy.cli.classes import base_class
from lit_entropy.cli.values import NEGATIVE, read_values
from lit_entropy.moved import check_key, check_names, leaves
from lit_entropy.shipped import SUFFIXES, configs_folder, find_config
from lit_entropy.yaml_text import SURROGATE

_KINDS = {list: "list", int: "number", float: "number", bool: "truth value"}


def has_key(key: str) -> bool:
    """Whether ``model.*`` or ``data.*`` is a setting."""
    group, _, name = key.partition(".")
    return name in inspect.signature(base_class(group)).parameters


def ready_arguments(
    arguments: Sequence[str], has_key: Callable[[str], bool] = has_key
) -> list[str]:
    """Arguments with the files of the shipped configurations in place of their names.

    Args:
        arguments: as typed: ``--config experiment/kl_cov``, ``--model.loss=loss/kl_cov``.
        has_key: whether a dotted key is a setting, asked of old keys only.

    Raises:
        ValueError: a configuration that is neither a file nor shipped, an old name or key, on the
            command line or in a file that it names, or a word that is not UTF-8.
    """
    ready: list[str] = []
    flag = ""
    for argument in arguments:
        if SURROGATE.search(argument):  # no file could hold it
            raise ValueError(f"{argument!a:.200} is not UTF-8: type or encode it as UTF-8")
        value, start = argument, ""
        if argument.startswith("-") and not NEGATIVE.match(argument):
            flag, equals, value = argument.partition("=")
            check_key(flag, flag.strip("-+"), has_key)
            if not equals:
                ready.append(argument)
                continue
            start = f"{flag}="
        ready.append(start + _ready_value(flag, value, has_key))
        flag = ""
    return ready


def _ready_value(flag: str, value: str, has_key: Callable[[str], bool]) -> str:
    key = flag.strip("-+")
    word, folder = key.rpartition(".")[2], value.partition("/")[0]
    if key in ("c", "config"):
        value = find_config(value, flag)
        if ":" not in value or os.path.isfile(value):
            _check_mapping(Path(value))
    elif word and word in (folder, f"{folder}s") and (configs_folder() / folder).is_dir():
        value = find_config(value, flag, folder)
    elif not value.endswith(SUFFIXES):
        check_names(flag, value)
        return value
    try:
        check_file(Path(value), has_key)
    except ValueError as error:
        if str(error).startswith(f"{value} holds nothing") and key not in ("c", "config"):
            raise ValueError(f"{key}={error}") from error
        if key in ("c", "config") or str(error).startswith(value):
            raise  # it names the file
        raise ValueError(f"{key}={value}: {error}") from error
    return value


def _check_mapping(path: Path) -> None:
    """Refuse a file that holds no keys; what else is wrong with it :func:`check_file` says.

    Raises:
        ValueError: one line with the file.
    """
    values = read_values(path)
    kind = "nothing" if values is None else f"a {_KINDS.get(type(values), 'text')}"
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {kind}: a configuration is keys, 'data: {{seed: 1}}' say")
    if odd := [key for key in values if not isinstance(key, str)]:
        raise ValueError(f"{path}: the key {odd[0]!r} is no text; a configuration's keys are names")


def check_file(
    path: Path, has_key: Callable[[str], bool], seen: frozenset[Path] = frozenset()
) -> None:
    """Refuse old names and keys in a configuration file and in the component files it names.

    Raises:
        ValueError: one line with the file and the old name and the new one, or what is wrong with
            it, see :func:`lit_entropy.cli.values.read_values`.
    """
    if path in seen or not os.path.exists(path):  # of a name that is too long, False
        return
    values = read_values(path)
    if values is None:
        raise ValueError(f"{path} holds nothing: write what it is to configure")
    for key, value in leaves(values):
        check_key(str(path), key, has_key)
        if isinstance(value, str):
            check_names(f"{path}: {key}", value)
            if value.endswith(SUFFIXES):
                check_file(path.parent / value, has_key, seen | {path})
