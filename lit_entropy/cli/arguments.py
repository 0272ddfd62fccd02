"""What was typed, made ready for the parser: shipped configurations found, old names refused."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from lit_entropy.cli.classes import base_class
from lit_entropy.moved import check_key, check_names, leaves
from lit_entropy.shipped import configs_folder, find_config


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
        ValueError: a configuration that is neither a file nor shipped, or an old name or key, on
            the command line or in a file that it names.
    """
    ready: list[str] = []
    flag = ""
    for argument in arguments:
        value, start = argument, ""
        if argument.startswith("-") and not argument[1:2].isdigit():
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
    elif word and word in (folder, f"{folder}s") and (configs_folder() / folder).is_dir():
        value = find_config(value, flag, folder)
    elif not value.endswith(".yaml"):
        check_names(flag, value)
        return value
    check_file(Path(value), has_key)
    return value


def check_file(
    path: Path, has_key: Callable[[str], bool], seen: frozenset[Path] = frozenset()
) -> None:
    """Refuse old names and keys in a configuration file and in the component files it names.

    Raises:
        ValueError: one line with the file, the old name and the new one.
    """
    if path in seen or not path.is_file():
        return
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        return  # the parser says what is wrong with it
    for key, value in leaves(values):
        check_key(str(path), key, has_key)
        if isinstance(value, str):
            check_names(f"{path}: {key}", value)
            if value.endswith(".yaml"):
                check_file(path.parent / value, has_key, seen | {path})
