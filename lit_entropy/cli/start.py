"""The start of ``lit-entropy``: imports what the subcommand needs, torch only where it is used."""

import os
import sys
from collections.abc import Callable, Sequence

from jsonargparse import ActionConfigFile
from omegaconf.errors import OmegaConfBaseException

from lit_entropy.cli.arguments import ready_arguments
from lit_entropy.cli.commands import (
    COMMANDS,
    SUMMARIES,
    add_command_arguments,
    load,
    run_command,
    split_words,
    summaries,
    takes_experiment,
)
from lit_entropy.cli.imports import without_collections
from lit_entropy.cli.notices import hide_notices
from lit_entropy.cli.parser import WHOLE, WITHOUT_COMMAND, CommandParser, set_up_parsing
from lit_entropy.cli.refusals import (
    DEBUG,
    crash,
    debugging,
    ended_by_signal,
    printable,
    refusal,
    refuse,
    unresolved,
)
from lit_entropy.errors import FailedRunsError, disk_full
from lit_entropy.tracking.redaction import redact_text

#: A word that may stand anywhere in a command.
DEBUG_FLAG = "--debug"


def console() -> None:
    """Entry point of the console script.

    A refusal, a mistake in a configuration and a full disk are a few lines, any other error a
    traceback; with ``--debug`` all are. None shows a secret or acts on the terminal.
    """
    words = [word for word in sys.argv[1:] if word != DEBUG_FLAG]
    before = os.environ.get(DEBUG, "")
    if len(words) < len(sys.argv) - 1:
        os.environ[DEBUG] = "1"  # for the processes of a sweep as well
    try:
        start(words)
    except FailedRunsError as error:
        print(f"lit-entropy: {printable(redact_text(str(error)))}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        full, refused = disk_full(error), refusal(error)
        if debugging() or not (full or refused):
            crash(error)
        if full:
            print(f"lit-entropy: {printable(redact_text(full))}", file=sys.stderr)
            sys.exit(1)
        refuse(refused or "")
    finally:
        os.environ[DEBUG] = before


def start(arguments: list[str]) -> None:
    """Run a command line.

    Args:
        arguments: its words; wrong ones end the process with exit code 2.
    """
    if needs_experiment(arguments):
        experiment_main()(arguments)
    else:
        run_light(arguments)


def experiment_main() -> Callable[[list[str]], object]:
    """The command line of experiments, with torch and Lightning."""
    with without_collections():
        from lit_entropy.cli.main import main
    return main


def needs_experiment(arguments: Sequence[str]) -> bool:
    """Whether a command is about an experiment, or may be: one that starts with an option."""
    word = arguments[0] if arguments else "--help"
    if word.startswith("-"):
        return word not in WITHOUT_COMMAND
    return word in SUMMARIES or (word in COMMANDS and takes_experiment(word))


def run_light(arguments: list[str]) -> None:
    """Run a subcommand that is a function, or say what subcommands there are."""
    set_up_parsing()
    hide_notices()
    try:
        words, passed = split_words(arguments)
        arguments = ready_arguments(words)
    except ValueError as error:
        refuse(str(error))
    called = arguments[0] if arguments else ""
    parser, own = light_parser(called)
    try:
        config = parser.parse_args(arguments)
        run_command(called, own, config[called], experiment_main, passed)
    except OmegaConfBaseException as error:
        refuse(unresolved(error))
    except SystemExit as end:
        sys.exit(143 if ended_by_signal(end) else end.code)


def light_parser(called: str) -> tuple[CommandParser, CommandParser]:
    """The parser of the whole command line and that of the subcommand that is called.

    Args:
        called: the subcommand; the others have a name and a summary alone.
    """
    parser = _with_config(CommandParser(**WHOLE))
    subcommands, own = parser.add_subcommands(), parser
    for name, description in summaries().items():
        each = _with_config(CommandParser(description=description))
        if name == called:
            own = each
            add_command_arguments(own, load(name))
        subcommands.add_subcommand(name, each, help=description)
    return parser, own


def _with_config(parser: CommandParser) -> CommandParser:
    text = "Path to a configuration file in json or yaml format."
    parser.add_argument("-c", "--config", action=ActionConfigFile, help=text)
    return parser
