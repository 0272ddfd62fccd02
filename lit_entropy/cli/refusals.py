"""Which errors end a command in a few lines, and how it ends."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from omegaconf.errors import OmegaConfBaseException

from lit_entropy.cli.building import marked, with_key
from lit_entropy.cli.failed_part import failed_part
from lit_entropy.errors import (
    CheckpointError,
    ContractError,
    NonFiniteError,
    PartError,
    UncheckedError,
)
from lit_entropy.tracking.redaction import redact_text

#: Errors that tell a user what to change, when this package raises them.
REFUSALS = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    CheckpointError,
    ContractError,
    NonFiniteError,
    PartError,
    UncheckedError,
)

#: An environment variable: set, as by ``--debug``, every error is shown with its traceback.
DEBUG = "LIT_ENTROPY_DEBUG"
_COMMAND = (f"{__package__}.main", "main")
_WORK = {
    ("lightning.pytorch.trainer.trainer", "_run_stage"),
    (f"{__package__}.commands", "run_command"),
}


def refusal(error: BaseException) -> str | None:
    """What to say of an error that a user can mend, at most four lines; None for other faults.

    That is what this package or Lightning refuses, what a part of the configuration raised when it
    was built, anything else that stopped a command of an experiment before its work began, and what
    a part of the user's own raised during it.
    """
    frames = list(_frames(error.__traceback__))
    own = bool(frames) and frames[-1][0].partition(".")[0] == __name__.partition(".")[0]
    if isinstance(error, PartError) and isinstance(error.__cause__, SystemExit):
        return failed_part(error.__cause__, str(error)) or str(error)
    if _is_of_lightning(error, "MisconfigurationException") or (own and _is_worded(error)):
        return _few_lines(with_key(error))
    if marked(error) is None and not _before_work(frames):
        return failed_part(error) if _COMMAND in frames else _too_long(error)
    if said := _too_long(error):
        return said
    kind = "" if isinstance(error, ValueError) else f" [{type(error).__name__}]"
    place = traceback.extract_tb(error.__traceback__)[-1]
    file = f"{Path(place.filename).name}, line {place.lineno}"
    return _few_lines(f"{with_key(error)}{kind} ({file}; --debug shows the traceback)")


def _is_worded(error: BaseException) -> bool:
    return isinstance(error, REFUSALS)


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    """Module and function of each call on the way to an error."""
    while trace is not None:
        frame = trace.tb_frame
        yield str(frame.f_globals.get("__name__")), frame.f_code.co_name
        trace = trace.tb_next


def _before_work(frames: Sequence[tuple[str, str]]) -> bool:
    """Whether a fit, validate, test or predict had not reached its first batch."""
    return _COMMAND in frames and not _WORK.intersection(frames)


def _too_long(error: BaseException) -> str | None:
    """What to say of a name that no file can have, with the flag of the command that gave it."""
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        return None
    name = str(error.filename or "")
    part = max(Path(name).parts, key=len, default=name)[:80]
    given = zip(sys.argv, sys.argv[1:], strict=False)
    word = next((pair for pair in given if part in pair[1]), ("", ""))
    flag = next((each.partition("=")[0] for each in word[::-1] if each.startswith("--")), "")
    place = marked(error) or flag
    return (
        f"{place}{': ' if place else ''}{part!r}... is too long for the name of a file or folder: "
        "write at most 255 characters, a whole path at most 4095"
    )


def _few_lines(text: str) -> str:
    """The first lines of a message and its last, which says what to do."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) > 4:
        lines = [*lines[:2], f"{lines[2]} ... ({len(lines) - 4} more: --debug)", lines[-1]]
    return "\n".join(lines)


def ended_by_signal(end: SystemExit) -> bool:
    """Whether Lightning ended the process at a SIGTERM, which it does with exit code 0."""
    return _is_of_lightning(end, "SIGTERMException")


def debugging() -> bool:
    """Whether the traceback of every error is shown."""
    return bool(os.environ.get(DEBUG))


def refuse(message: str) -> NoReturn:
    """End the process with exit code 2 and what is wrong, secrets redacted."""
    show_traceback(sys.exception())
    print(f"lit-entropy: error: {printable(redact_text(message))}", file=sys.stderr)
    sys.exit(2)


def printable(text: str) -> str:
    r"""Text for a terminal: what would act on it or cannot be encoded is written ``\x1b``.

    A value that a message quotes may hold anything; line ends are the message's own.
    """
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def show_traceback(error: BaseException | None) -> None:
    """Print the traceback of an error where all are shown, secrets redacted."""
    if error is not None and debugging():
        print(_traceback(error), file=sys.stderr)


def crash(error: BaseException) -> NoReturn:
    """End the process with exit code 1 and the traceback of an error, secrets redacted."""
    print(_traceback(error), end="", file=sys.stderr)
    sys.exit(1)


def _traceback(error: BaseException) -> str:
    return printable(redact_text("".join(traceback.format_exception(error))))


def unresolved(error: OmegaConfBaseException) -> str:
    """What is wrong with a ``${...}``, in one line with its key."""
    key = (error.full_key or "").partition(".")[2]
    return f"{key}: {one_line(str(error).partition(chr(10))[0])}"


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def _is_of_lightning(error: BaseException, name: str) -> bool:
    module = sys.modules.get("lightning.pytorch.utilities.exceptions")  # else it raised nothing
    return module is not None and isinstance(error, getattr(module, name))
