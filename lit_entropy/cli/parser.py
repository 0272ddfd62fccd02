"""The parser of the command line and of configuration files."""

import sys
from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any, NoReturn

import jsonargparse
import yaml
from jsonargparse import ArgumentParser, Namespace, _common

from lit_entropy.cli.classes import flat, with_paths
from lit_entropy.cli.component_files import install, keep_text
from lit_entropy.cli.mistakes import explained
from lit_entropy.cli.refusals import printable, show_traceback
from lit_entropy.cli.values import (
    NEGATIVE,
    below,
    dump_references,
    dump_values,
    load_values,
    map_text,
)
from lit_entropy.release import VERSION
from lit_entropy.tracking.redaction import redact_text

#: jsonargparse's name for files whose values may refer to each other, ``${seed_everything}``.
MODE = "omegaconf+"
#: Of the parser of the whole command line.
WHOLE = {
    "prog": "lit-entropy",
    "parser_mode": MODE,
    "version": VERSION,
    "description": "Study, reproduce and control policy entropy in reinforcement learning of "
    "reasoning language models. --debug, anywhere in a command, shows the traceback of an error.",
}
#: Options that need no subcommand.
WITHOUT_COMMAND = ("-h", "--help", "--version")
_within: ContextVar[bool] = ContextVar("within a dump", default=False)


def set_up_parsing(
    named: Collection[str] = (), completed: Callable[[Any], Any] = lambda values: values
) -> None:
    """Let jsonargparse read and write values as :mod:`lit_entropy.cli.values` does.

    Args:
        named: class paths of the module and the data module that the command or its files name.
        completed: adds to a file's values what an experiment's parser needs.
    """
    jsonargparse.set_loader(
        MODE, lambda text: completed(flat(load_values(text), named)), (yaml.YAMLError,)
    )
    jsonargparse.set_dumper("yaml", dump_values)
    jsonargparse.set_dumper("references", dump_references)
    install(lambda: isinstance(_common.parent_parser.get(), CommandParser))


class CommandParser(ArgumentParser):
    """Keys are never abbreviated, and ``${key}`` is a setting of the subcommand wherever it stands.

    A component's file or a flag may hold it as well as an experiment's file.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Make the parser.

        Args:
            args: as of ``ArgumentParser``.
            options: as of ``ArgumentParser``.
        """
        super().__init__(*args, **{"allow_abbrev": False} | options)
        # of argparse, whose own takes -1 and -0.1 for values, not -1e-4
        self._negative_number_matcher = NEGATIVE

    #: Class paths of the module and of the data module where they are not the project's own.
    paths: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed

    def add_class_arguments(self, *args: Any, **options: Any) -> list[str]:
        """Add the arguments of a class; as of ``ArgumentParser``, but text stays text.

        Args:
            args: as of ``ArgumentParser``.
            options: as of ``ArgumentParser``.
        """
        added = super().add_class_arguments(*args, **options)
        keep_text(self)
        return added

    def add_function_arguments(self, *args: Any, **options: Any) -> list[str]:
        """Add the arguments of a function; as of ``ArgumentParser``, but text stays text.

        Args:
            args: as of ``ArgumentParser``.
            options: as of ``ArgumentParser``.
        """
        added = super().add_function_arguments(*args, **options)
        keep_text(self)
        return added

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End the process: how help is got, then what is wrong in one line, secrets redacted.

        Args:
            message: of jsonargparse.
            ex: the cause.
        """
        parser = getattr(ex, "subcommand_parser", None) or self
        if not self.exit_on_error:
            super().error(message, ex)
        show_traceback(ex)
        words = parser.prog.replace("[options] ", "").replace(" [options]", "")
        arguments = getattr(self, "args", None) or []
        subcommands = self._subcommands_action
        called = arguments[0] if parser is self and subcommands and arguments else ""
        if subcommands and called in subcommands.choices:  # it lacks what is required, say
            words = f"{words} {called}"
        text = printable(redact_text(explained(message, parser, arguments)))
        sys.stderr.write(f"usage: {words} [options]; {words} --help explains every key\n")
        sys.stderr.write(f"{words}: error: {text}\n")
        self.exit(2)

    def dump(self, namespace: Namespace, format: str = "parser_mode", **options: Any) -> str:
        """A configuration as text.

        Args:
            namespace: the configuration.
            format: as of ``ArgumentParser``.
            options: as of ``ArgumentParser``.
        """
        if _within.get():  # of a component, which becomes a part of the whole
            return str(super().dump(namespace, format="references", **options))
        if format == "parser_mode":
            format = "yaml"
            # jsonargparse resolves references in a dump that includes the targets of links
            if options.get("skip_link_targets") is False and "subcommand" in namespace:
                subcommand, format = namespace["subcommand"], "references"
                namespace = namespace.clone(with_meta=False)
                namespace = map_text(namespace, lambda text: below(text, subcommand))
        token = _within.set(True)
        try:
            text = str(super().dump(namespace, format=format, **options))
        finally:
            _within.reset(token)
        return with_paths(text, self.paths) if format == "yaml" else text
