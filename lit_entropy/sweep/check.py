"""A sweep is refused before its first run: every point is tried without weights."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from lit_entropy.closest import did_you_mean
from lit_entropy.errors import DryRunError
from lit_entropy.jobs.runner import Main
from lit_entropy.sweep.grid import Sweep, SweepRun, as_word

#: Flags of the sweep itself; all others are those of ``fit``.
FLAGS = ("--over", "--seeds", "--jobs", "--baseline", "--metrics", "--file", "--output")
_UNKNOWN = "unrecognized arguments: "


def check_points(main: Main, wanted: Sequence[SweepRun]) -> list[str]:
    """Parse and build each point as ``fit`` would, on the meta device.

    Args:
        main: the command line.
        wanted: runs; of each point one is tried.

    Returns:
        Remarks on points of which a dry run does not know enough, and that were parsed alone.

    Raises:
        ValueError: a key or a value that is refused, with the point that has it.
    """
    first = {run.point.label: run for run in reversed(wanted)}
    remarks = []
    for label, run in reversed(first.items()):
        # a plan takes settings of its own as well, hence both
        _call(main, label, ["fit", *run.settings, "--print_config"])
        try:
            _call(main, label, ["plan", *run.settings])
        except DryRunError as error:
            remarks.append(f"{label}: its settings are read, not all of them tried: {error}")
    return remarks


def check_keys(main: Main, wanted: Sweep) -> None:
    """Refuse a key that there is none of where its values are no list: of two mistakes this first.

    Args:
        main: the command line.
        wanted: the sweep; the keys of one with lists are tried point by point.

    Raises:
        ValueError: names the key and those that are near.
    """
    for key, values in wanted.over.items():
        if isinstance(values, list | tuple):
            continue
        try:
            field = f"over.{key}"
            words = ["fit", *wanted.words, f"--{key}", as_word(values, field), "--print_config"]
            _call(main, field, words)
        except ValueError as error:
            if _UNKNOWN in str(error):
                raise


def _call(main: Main, label: str, words: list[str]) -> None:
    """Call the command line, silently.

    Raises:
        ValueError: what it refuses.
        DryRunError: what a dry run cannot tell.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            main(words)
    except SystemExit as end:
        if end.code not in (0, None):
            message = said.getvalue().rpartition("error: ")[2].strip()
            raise ValueError(f"{label}: {message}{_own_flag(message)}") from end
    except DryRunError:
        raise
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error


def _own_flag(message: str) -> str:
    """The flag of the sweep that was meant where ``fit`` knows none that is near."""
    if not message.startswith(_UNKNOWN) or "did you mean" in message:
        return ""
    flag = message.removeprefix(_UNKNOWN).split()[0].partition(".")[0]
    return did_you_mean(flag, FLAGS)
