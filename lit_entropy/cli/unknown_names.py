"""What to say of a subcommand, a key, an argument or a component that there is none of."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from lit_entropy.cli.annotations import classes_of, imported, parameters_of, type_of
from lit_entropy.cli.refusals import one_line
from lit_entropy.cli.values import read_values
from lit_entropy.closest import did_you_mean
from lit_entropy.moved import leaves

_SUBCOMMAND = re.compile(r"argument subcommand: invalid choice: '(.+)' \(choose from (.+)\)")
_OPTION = re.compile(r"Subcommand '\w+' does not accept option '([^']+)'")
_CLASS = re.compile(r"class_path[ =]'([^']+)'")


def unknown_name(message: str, parser: ArgumentParser, arguments: Sequence[str]) -> str | None:
    """What to say of a subcommand, a flag or a file's key; None where a message is of none.

    Args:
        message: of the parser.
        parser: of the subcommand.
        arguments: the words of the command.
    """
    if message.startswith("unrecognized arguments: "):
        flag = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
        return f"{one_line(message)}{did_you_mean(flag, _flags(parser))}"
    if found := _SUBCOMMAND.search(message):
        names = re.findall(r"'([\w-]+)'", found[2])
        near = did_you_mean(found[1], names)
        return f"there is no subcommand {found[1]}{near}; there are {', '.join(names)}"
    if found := _OPTION.search(message):
        keys = [flag.removeprefix("--") for flag in _flags(parser)]
        file = next(_files_with(found[1], arguments), "")
        place = f" (in {file})" if file else ""
        near = did_you_mean(found[1], keys) or f"; {parser.prog.split()[-1]} --help lists the keys"
        return f"{found[1]}: there is no such key{near}{place}"
    return None


def unknown_argument(key: str, message: str, name: str) -> str:
    """What to say of an argument that a component does not have.

    Args:
        key: of the component.
        message: of the parser, with the class path of the component.
        name: of the argument.
    """
    before, _, after = message.partition(f"Option '{name}' is not accepted")
    path = next(iter([*_CLASS.findall(before)[-1:], *_CLASS.findall(after)]), "")
    return _no_argument(key, path, name)


def _no_argument(key: str, path: str, name: str) -> str:
    cls = imported(path) if path else None
    known = [] if cls is None else parameters_of(cls)
    listed = f"; it has {', '.join(known)}" if known else ""
    short = path.rpartition(".")[2] or key
    return f"{key}: {short} has no argument {name}{did_you_mean(name, known)}{listed}"


def unknown_in_file(key: str, file: str, parser: ArgumentParser) -> str | None:
    """What a component's file says that its class does not take; None where it is no such file."""
    values = read_values(Path(file)) if os.path.isfile(file) else None
    if not isinstance(values, dict) or "class_path" not in values:
        return None
    name = str(values["class_path"]).rpartition(".")[2]
    for cls in classes_of(type_of(key, parser, [])):
        odd = [arg for arg in values.get("init_args") or {} if arg not in parameters_of(cls)]
        if cls.__name__ == name and odd:
            return f"{_no_argument(key, f'{cls.__module__}.{name}', str(odd[0]))} (in {file})"
    return None


def unknown_component(key: str, value: str, classes: Sequence[type]) -> str:
    """What to say of a component that is neither known nor a file nor a class path."""
    names = sorted({cls.__name__ for cls in classes})
    return (
        f"{key}={value}: neither a known component nor a file nor a class_path (module.Class)"
        f"{did_you_mean(value, names)}; known are {', '.join(_own_names(classes))}"
    )


def below_null(key: str, name: str, classes: Sequence[type]) -> str:
    """What to say of a setting of a component that is null.

    Args:
        key: of the component.
        name: of the setting.
        classes: that the component may be of.
    """
    known = _own_names(classes)
    listed = f"; known are {', '.join(known)}" if known else ""
    return (
        f"{key}.{name}: {key} is null and has no settings: name its class first, by --{key}{listed}"
    )


def _own_names(classes: Sequence[type]) -> list[str]:
    """The names of this project's classes; of all where none is."""
    own = __name__.partition(".")[0]
    ours = {cls.__name__ for cls in classes if cls.__module__.startswith(f"{own}.")}
    return sorted(ours or {cls.__name__ for cls in classes})


def _flags(parser: ArgumentParser) -> list[str]:
    known = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    return [flag for flag in known if not flag.endswith(".help")]


def _files_with(key: str, arguments: Sequence[str]) -> Iterator[str]:
    """The files of a command that set a key, or one below it."""
    flag = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        file = value if equals and name in ("-c", "--config") else argument
        if (file != argument or flag in ("-c", "--config")) and os.path.isfile(file):
            keys = (found for found, _ in leaves(read_values(Path(file))))
            if any(f".{found}.".find(f".{key}.") >= 0 for found in keys):
                yield file
        flag = argument
