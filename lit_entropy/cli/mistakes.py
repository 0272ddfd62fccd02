"""What is wrong with a command, in one line: the key, the value, and what it may be."""

import os
import re
import shlex
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from lit_entropy.cli.annotations import classes_of, type_of
from lit_entropy.cli.imports import import_fault
from lit_entropy.cli.missing_files import missing_file
from lit_entropy.cli.refusals import one_line
from lit_entropy.cli.unknown_names import (
    below_null,
    unknown_argument,
    unknown_component,
    unknown_in_file,
    unknown_name,
)
from lit_entropy.closest import did_you_mean
from lit_entropy.shipped import SUFFIXES

_KEY = re.compile(r'Parser key "([^"]+)"(?: element \d+)?:')
_LINK = re.compile(r"Call to compute_fn of link '[^']*' with args \(.*?\) failed: ", re.DOTALL)
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_IN_A_FLAG = re.compile(r'\s*in "<unicode string>", line \d+, column (\d+):.*?\^', re.DOTALL)
_NO_COMPONENT = re.compile(r"Config file loop detected: (\S+) -> ")  # a list of texts is a path
_NO_PATH = re.compile(r"Expected a path but (.+) either not accessible or invalid")
_BELOW_NULL = re.compile(r"NestedArg\(key='([^']+)'")  # a class of jsonargparse
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
    if fault := unknown_name(message, parser, arguments):
        return fault
    if message.startswith("the following arguments are required: "):
        return _missing(message, arguments)
    message = _LINK.sub("", _IN_A_FLAG.sub(r" in column \1", message))
    key = ".".join(_KEY.findall(message))
    if found := _NO_COMPONENT.search(message):
        if fault := unknown_in_file(key, found[1], parser):
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
        return unknown_argument(key, message, found[1])
    found = _NO_PATH.search(rest)
    if found and os.path.isfile(found[1]) and not found[1].endswith(SUFFIXES):
        endings = " or ".join(SUFFIXES)
        return f"{key}={found[1]}: a component's file has a name that ends in {endings}"
    if found := re.search(r"Expected a dot import path string: (\S+)", rest):
        classes = list(classes_of(type_of(key, parser, _CLASS.findall(message))))
        if classes:  # elsewhere a class is the odd one of several types
            return unknown_component(key, found[1], classes)
    if (path := _dotted(rest)) and (fault := import_fault(path)):
        return f"{key}={path}: {fault}"
    if found := _BELOW_NULL.search(rest):
        classes = list(classes_of(type_of(key, parser, _CLASS.findall(message))))
        return below_null(key, found[1], classes)
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


def _missing(message: str, arguments: Sequence[str]) -> str:
    keys = message.removeprefix("the following arguments are required: ").split(", ")
    text = f"required and not given: {', '.join(key.partition('.')[2] or key for key in keys)}"
    if not any(".model." in f".{key}" for key in keys):
        return text
    if any("config" in argument for argument in arguments):
        text += "; an experiment's file is laid over base.yaml"
    return f"{text}: --config base --config experiment/kl_cov, or --config quickstart"


def _wrong_value(key: str, rest: str) -> str:
    given = re.search(r"(?:Got|Given) value: (.*)", rest, re.DOTALL)
    subtypes = re.search(r"Subtypes: \[(.*)\]\n", rest)
    expected = subtypes or re.search(r"Expected an? (.*?)(?:\. Got value|$)", rest, re.DOTALL)
    if given is None or expected is None:
        return f"{key}: {one_line(rest)}"
    value = one_line(given[1].partition(". Got value: Namespace")[0])
    literal = re.fullmatch(r"typing\.Literal\[(.*)\]", expected[1])
    if literal:
        near = did_you_mean(value, re.findall(r"'([^']*)'", literal[1]))
        return f"{key}={value}: expected one of {literal[1]}{near}"
    types = _TYPE.sub(lambda found: _NAMES.get(found[1], found[1]), one_line(expected[1]))
    types = re.sub(r"typing\.Literal\[([^]]*)\]", r"\1", types)
    return f"{key}={value}: expected {types.replace(', ', ' or ') if subtypes else types}"
