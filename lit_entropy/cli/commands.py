"""Subcommands that are plain functions: their signature is their command line."""

import inspect
import json
from collections.abc import Callable

import docstring_parser
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser

from lit_entropy.checkpoints.export import export
from lit_entropy.cli.values import load_values
from lit_entropy.evaluation.report.compare import compare
from lit_entropy.planning.command import plan
from lit_entropy.planning.experiment import Parsed
from lit_entropy.pretraining.command import pretrain
from lit_entropy.reproduce.command import figures, reproduce
from lit_entropy.sweep.command import sweep

Command = Callable[..., object]

#: One that takes an ``experiment`` has the settings of fit beside its own; one that takes ``main``
#: gets the command line itself, one that takes ``words`` those that are not its own.
COMMANDS: dict[str, Command] = {
    "pretrain": pretrain,
    "plan": plan,
    "sweep": sweep,
    "reproduce": reproduce,
    "figures": figures,
    "export": export,
    "compare": compare,
}


def add_command_arguments(
    parser: LightningArgumentParser,
    function: Command,
    add_experiment: Callable[[LightningArgumentParser], None],
) -> None:
    """Give a subcommand's parser the parameters of its function.

    Args:
        parser: the parser of the subcommand.
        function: what the subcommand runs.
        add_experiment: adds the settings of an experiment to a parser.
    """
    positional = _required_lists(function) - {"words"}
    for name in positional:
        parser.add_argument(str(name), nargs="+", type=str, help=_help(function, str(name)))
    if _takes_experiment(function):
        add_experiment(parser)
    given = positional | {"experiment", "main", "words"}
    parser.add_function_arguments(function, as_group=False, skip=given)


def run_command(
    function: Command,
    parser: ArgumentParser,
    config: Namespace,
    main: Callable[[list[str]], object],
    words: list[str],
) -> None:
    """Run a subcommand's function with what was parsed for it.

    Args:
        function: what the subcommand runs.
        parser: its parser.
        config: what was parsed.
        main: the command line.
        words: those of the command that are not its own.
    """
    names = inspect.signature(function).parameters.keys() - {"experiment"}
    arguments = {key: value for key, value in config.as_dict().items() if key in names}
    if _takes_experiment(function):
        arguments["experiment"] = Parsed(parser, config)
    if "main" in names:
        arguments["main"] = main
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
    function = COMMANDS.get(words[0]) if words else None
    names = {} if function is None else inspect.signature(function).parameters
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


def summary(function: Command) -> str:
    """The first line of a function's documentation."""
    return (function.__doc__ or "").strip().splitlines()[0]


def _required_lists(function: Command) -> set[str | int]:
    """Parameters that are typed one after the other, without a flag: ``figures RUN...``."""
    return {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and str(parameter.annotation).startswith("list")
    }


def _help(function: Command, name: str) -> str | None:
    """What a function's documentation says of a parameter."""
    parameters = docstring_parser.parse(inspect.getdoc(function) or "").params
    return next((entry.description for entry in parameters if entry.arg_name == name), None)


def _takes_experiment(function: Command) -> bool:
    return "experiment" in inspect.signature(function).parameters
