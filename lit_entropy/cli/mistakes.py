"""What is wrong with a command, in one line: the key, the value, and what it may be."""

import inspect
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from jsonargparse import ArgumentParser

from lit_entropy.cli.imports import import_fault
from lit_entropy.cli.missing_files import missing_file
from lit_entropy.cli.refusals import one_line
from lit_entropy.cli.values import read_values
from lit_entropy.closest import did_you_mean
from lit_entropy.shipped import SUFFIXES

_KEY = re.compile(r'Parser key "([^"]+)"(?: element \d+)?:')
_LINK = re.compile(r"Call to compute_fn of link '[^']*' with args \(.*?\) failed: ", re.DOTALL)
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_IN_A_FLAG = re.compile(r'\s*in "<unicode string>", line \d+, column (\d+):.*?\^', re.DOTALL)
_NO_COMPONENT = re.compile(r"Config file loop detected: (\S+) -> ")  # a list of texts is a path
_NO_PATH = re.compile(r"Expected a path but (.+) either not accessible or invalid")
_TYPE = re.compile(r"<class '(?:[\w.]*\.)?(\w+)'>")
_LIST = re.compile(r"([\w.]+=\[[^\]]*,[^\]]*\])([: ])")
_NAMES = {"str": "text (in a file: in quotes)", "bool": "true or false", "NoneType": "null"}
_NAMES |= {"int": "a whole number", "float": "a number"}


def explained(message: str, parser: ArgumentParser, arguments: Sequence[str]) -> str:
    """A message of the parser in one line.

    Args:
        message: as jsonargparse words it, over many lines.
        parser: the parser of the subcommand.
        arguments: the words of the command.
    """
    if message.startswith("unrecognized arguments: "):
        return _unknown_flag(message, parser)
    if message.startswith("the following arguments are required: "):
        return _missing(message, arguments)
    message = _LINK.sub("", _IN_A_FLAG.sub(r" in column \1", message))
    key = ".".join(_KEY.findall(message))
    if found := _NO_COMPONENT.search(message):
        if fault := _unknown_in_file(key, found[1], parser):
            return fault
        return f"{key}: {found[1]} holds neither the keys of a component nor its name"
    if not key:
        return one_line(message)
    rest = _KEY.split(message)[-1]
    if fault := missing_file(key, rest):
        return fault
    trains = parser.prog.split()[-1:] == ["fit"]
    if trains and key.endswith("seed_everything") and (seeds := _several(rest)):
        return _one_seed(key, seeds, arguments)
    if found := re.search(r"Option '([^']+)' is not accepted", rest):
        return _unknown_argument(key, found[1], _CLASS.findall(message)[:1])
    found = _NO_PATH.search(rest)
    if found and os.path.isfile(found[1]) and not found[1].endswith(SUFFIXES):
        endings = " or ".join(SUFFIXES)
        return f"{key}={found[1]}: a component's file has a name that ends in {endings}"
    if found := re.search(r"Expected a dot import path string: (\S+)", rest):
        classes = list(_classes(_type_of(key, parser, _CLASS.findall(message))))
        if classes:  # elsewhere a class is the odd one of several types
            return _unknown_component(key, found[1], classes)
    if (path := _dotted(rest)) and (fault := import_fault(path)):
        return f"{key}={path}: {fault}"
    text = _wrong_value(key, rest)
    several = _LIST.match(text)
    if trains and several and "list" not in text.lower():
        if several[2] == " ":  # many lines on how a component may be given
            text = f"{several[1]}: expected one component"
        return f"{text}; for a run with each value: lit-entropy sweep --over.{key}"
    return text


def _dotted(rest: str) -> str | None:
    """The value that a message is about, where it is written like the path of a class."""
    found = _CLASS.findall(rest) or re.findall(r"(?:Got|Given) value: ['\"]?([\w.]+)['\"]?$", rest)
    path = found[-1] if found else ""
    parts = path.split(".")
    return path if len(parts) > 1 and all(part.isidentifier() for part in parts) else None


def _several(rest: str) -> list[int] | None:
    """Several whole numbers where one was expected: ``0,1`` or ``[0, 1]``."""
    found = re.search(r"(?:Got|Given) value: [\"']?\[?(\d+(?:\s*,\s*\d+)+)\]?", rest)
    return [int(number) for number in found[1].split(",")] if found else None


def _one_seed(key: str, seeds: list[int], arguments: Sequence[str]) -> str:
    words = iter(arguments)
    others: list[str] = []
    for word in words:
        if word == "--seed_everything":
            next(words, None)
        elif not word.startswith("--seed_everything="):
            others.append(word)
    typed = " ".join(["lit-entropy sweep", shlex.join(others)]).rstrip()
    listed = ",".join(map(str, seeds))
    return f'{key}={listed}: a run has one seed; a run for each: {typed} --seeds "{seeds}"'


def _unknown_flag(message: str, parser: ArgumentParser) -> str:
    flag = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
    options = [option for option in parser._option_string_actions if option.startswith("--")]
    return f"{one_line(message)}{did_you_mean(flag, options)}"


def _missing(message: str, arguments: Sequence[str]) -> str:
    keys = message.removeprefix("the following arguments are required: ").split(", ")
    text = f"required and not given: {', '.join(key.partition('.')[2] or key for key in keys)}"
    if not any(".model." in f".{key}" for key in keys):
        return text
    if any("config" in argument for argument in arguments):
        text += "; an experiment's file is laid over base.yaml"
    return f"{text}: --config base --config experiment/kl_cov, or --config quickstart"


def _unknown_argument(key: str, name: str, paths: Sequence[str]) -> str:
    known: list[str] = []
    short = key
    for path in paths:
        cls = _imported(path)
        short = path.rpartition(".")[2]
        known = [] if cls is None else _parameters(cls)
    listed = f"; it has {', '.join(known)}" if known else ""
    return f"{key}: {short} has no argument {name}{did_you_mean(name, known)}{listed}"


def _unknown_in_file(key: str, file: str, parser: ArgumentParser) -> str | None:
    """What a component's file says that its class does not take; None where it is no such file."""
    values = read_values(Path(file)) if Path(file).is_file() else None
    if not isinstance(values, dict) or "class_path" not in values:
        return None
    name = str(values["class_path"]).rpartition(".")[2]
    for cls in _classes(_type_of(key, parser, [])):
        odd = [arg for arg in values.get("init_args") or {} if arg not in _parameters(cls)]
        if cls.__name__ == name and odd:
            path = f"{cls.__module__}.{name}"
            return f"{_unknown_argument(key, str(odd[0]), [path])} (in {file})"
    return None


def _parameters(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls).parameters if name != "self"]


def _unknown_component(key: str, value: str, classes: Sequence[type]) -> str:
    own = __name__.partition(".")[0]
    names = sorted({cls.__name__ for cls in classes})
    ours = sorted({cls.__name__ for cls in classes if cls.__module__.startswith(f"{own}.")})
    return (
        f"{key}={value}: neither a known component nor a file nor a class_path (module.Class)"
        f"{did_you_mean(value, names)}; known are {', '.join(ours or names)}"
    )


def _wrong_value(key: str, rest: str) -> str:
    given = re.search(r"(?:Got|Given) value: (.*)", rest, re.DOTALL)
    subtypes = re.search(r"Subtypes: \[(.*)\]\n", rest)
    expected = subtypes or re.search(r"Expected an? (.*?)(?:\. Got value|$)", rest, re.DOTALL)
    if given is None or expected is None:
        return f"{key}: {one_line(rest)}"
    value = one_line(given[1].partition(". Got value: Namespace")[0])
    literal = re.fullmatch(r"typing\.Literal\[(.*)\]", expected[1])
    if literal:
        return f"{key}={value}: expected one of {literal[1]}"
    types = _TYPE.sub(lambda found: _NAMES.get(found[1], found[1]), one_line(expected[1]))
    return f"{key}={value}: expected {types.replace(', ', ' or ') if subtypes else types}"


def _type_of(key: str, parser: ArgumentParser, paths: Sequence[str]) -> object:
    """The annotation of a key, which may be an argument of a class that was named."""
    if paths and (cls := _imported(paths[-1])) is not None:
        hints = get_type_hints(inspect.getattr_static(cls, "__init__"))
        return hints.get(key.rpartition(".")[2])
    types = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    return types.get(key)


def _classes(annotation: Any) -> Iterator[type]:
    """Every concrete class that an annotation allows; not those of plain values."""
    for part in get_args(annotation):
        for item in part if isinstance(part, list) else [part]:
            yield from _classes(item)
    if not isinstance(annotation, type) or annotation.__module__ == "builtins":
        return
    if not inspect.isabstract(annotation) and not annotation.__name__.startswith("_"):
        yield annotation
    subclasses: list[type] = annotation.__subclasses__()
    for subclass in subclasses:
        yield from _classes(subclass)


def _imported(path: str) -> type | None:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name, None)  # the parser has imported it
    return found if isinstance(found, type) else None
