"""Subcommands that are plain functions: their signature is their command line."""

import inspect
from collections.abc import Callable

import docstring_parser
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser

from lit_entropy.checkpoints.export import export
from lit_entropy.evaluation.report.compare import compare
from lit_entropy.planning.command import plan
from lit_entropy.planning.experiment import Parsed
from lit_entropy.pretraining.command import pretrain
from lit_entropy.reproduce.command import figures, reproduce

Command = Callable[..., object]

#: One that takes an ``experiment`` has the settings of fit beside its own; one that takes ``main``
#: gets the command line itself.
COMMANDS: dict[str, Command] = {
    "pretrain": pretrain,
    "plan": plan,
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
    positional = _required_lists(function)
    for name in positional:
        parser.add_argument(str(name), nargs="+", type=str, help=_help(function, str(name)))
    if _takes_experiment(function):
        add_experiment(parser)
    given = positional | {"experiment", "main"}
    parser.add_function_arguments(function, as_group=False, skip=given)


def run_command(
    function: Command,
    parser: ArgumentParser,
    config: Namespace,
    main: Callable[[list[str]], object],
) -> None:
    """Run a subcommand's function with what was parsed for it."""
    names = inspect.signature(function).parameters.keys() - {"experiment"}
    arguments = {key: value for key, value in config.as_dict().items() if key in names}
    if _takes_experiment(function):
        arguments["experiment"] = Parsed(parser, config)
    if "main" in names:
        arguments["main"] = main
    function(**arguments)


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
