"""Subcommands by name; of those that are plain functions the signature is the command line."""

import ast
import inspect
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import docstring_parser
from jsonargparse import ArgumentParser, Namespace

from lit_entropy.cli.imports import without_collections
from lit_entropy.cli.values import load_values

Command = Callable[..., object]

#: Subcommands that train or evaluate an experiment.
SUMMARIES = {
    "fit": "Train a policy; one Lightning epoch is one RL step.",
    "validate": "Evaluate on held-out problems: greedy accuracy, avg@n, pass@k; many checkpoints.",
    "test": "As validate, logged under test/.",
    "predict": "Write greedy responses to the held-out problems to predictions.jsonl.",
}
#: The function of every other one, imported when it is called. Its module imports little: what the
#: function works with it imports when it runs, so that --help costs no torch. One that takes an
#: ``experiment`` has the settings of fit beside its own; one that takes ``main`` gets the command
#: line itself, one that takes ``words`` those that are not its own.
COMMANDS = {
    "pretrain": "lit_entropy.pretraining.command.pretrain",
    "plan": "lit_entropy.planning.command.plan",
    "sweep": "lit_entropy.sweep.command.sweep",
    "reproduce": "lit_entropy.reproduce.command.reproduce",
    "figures": "lit_entropy.reproduce.command.figures",
    "archive": "lit_entropy.reproduce.archive.archive",
    "export": "lit_entropy.checkpoints.command.export",
    "compare": "lit_entropy.cli.compare.compare",
}


def load(name: str) -> Command:
    """The function of a subcommand, imported."""
    module, _, function = COMMANDS[name].rpartition(".")
    with without_collections():
        command: Command = getattr(import_module(module), function)
    return command


def summaries() -> dict[str, str]:
    """What each subcommand does, in one sentence: the first line of a function's documentation.

    Nothing is imported for it: the lines are read from the source.
    """
    lines = {name: (ast.get_docstring(_source(name)) or "").splitlines()[0] for name in COMMANDS}
    return SUMMARIES | lines


def takes_experiment(name: str) -> bool:
    """Whether a function subcommand has the settings of fit beside its own."""
    return "experiment" in _parameters(name)


def _parameters(name: str) -> set[str]:
    arguments = _source(name).args
    return {argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)}


@cache
def _source(name: str) -> ast.FunctionDef:
    _, *parts, function = COMMANDS[name].split(".")
    text = Path(__file__).parents[1].joinpath(*parts).with_suffix(".py").read_text("utf-8")
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return next(node for node in nodes if node.name == function)


def add_command_arguments(
    parser: ArgumentParser,
    function: Command,
    add_experiment: Callable[[Any], None] | None = None,
) -> None:
    """Give a subcommand's parser the parameters of its function.

    Args:
        parser: the parser of the subcommand.
        function: what the subcommand runs.
        add_experiment: adds the settings of an experiment to a parser, for a function that takes
            one.
    """
    positional = set(_required_lists(function)) - {"words"}
    for name in positional:
        parser.add_argument(name, nargs="+", type=str, help=_help(function, name))
    if add_experiment is not None:
        add_experiment(parser)
    given: set[str | int] = {*positional, "experiment", "main", "words"}
    parser.add_function_arguments(function, as_group=False, skip=given)


def run_command(
    name: str,
    parser: ArgumentParser,
    config: Namespace,
    main: Callable[[], Callable[[list[str]], object]],
    words: list[str],
) -> None:
    """Run a subcommand's function with what was parsed for it.

    Args:
        name: of the subcommand.
        parser: its parser.
        config: what was parsed.
        main: gives the command line, asked for only where the function takes it.
        words: those of the command that are not its own.
    """
    function = load(name)
    names = inspect.signature(function).parameters.keys() - {"experiment"}
    arguments = {key: value for key, value in config.as_dict().items() if key in names}
    if takes_experiment(name):
        from lit_entropy.planning.experiment import Parsed

        arguments["experiment"] = Parsed(parser, config)
    if "main" in names:
        arguments["main"] = main()
    if "words" in names:
        arguments["words"] = words
    function(**arguments)


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of a command that its parser reads, and those that it passes on to ``fit``.

    Args:
        words: of a command line, the subcommand first.

    Returns:
        All words, and none, for a subcommand that passes nothing on. Of others the first have each
        ``--over.key value`` as one mapping, the second every ``--key=value`` as two words.
    """
    names = _parameters(words[0]) if words and words[0] in COMMANDS else set()
    if "words" not in names:
        return words, []
    own, passed, over = words[:1], list[str](), dict[str, object]()
    rest = iter(words[1:])
    for word in rest:
        flag, equals, value = word.partition("=")
        key, _, inner = flag.removeprefix("--").partition(".")
        if word in ("-h", "--help"):
            own.append(word)
        elif not flag.startswith("-"):
            passed.append(word)
        elif key == "over" and inner:
            over[inner] = load_values(value if equals else next(rest, ""))
        elif key.removesuffix("+") in names and not inner:
            own += [flag, value if equals else next(rest, "")]
        else:
            passed += [flag, value] if equals else [flag]
    return [*own, *(["--over", json.dumps(over)] if over else [])], passed


def _required_lists(function: Command) -> Iterator[str]:
    """Parameters that are typed one after the other, without a flag: ``figures RUN...``."""
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty and str(parameter.annotation).startswith("list"):
            yield name


def _help(function: Command, name: str) -> str | None:
    """What a function's documentation says of a parameter."""
    parameters = docstring_parser.parse(inspect.getdoc(function) or "").params
    return next((entry.description for entry in parameters if entry.arg_name == name), None)
