"""A sweep is refused before its first run: every point is tried without weights."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from lit_entropy.errors import DryRunError
from lit_entropy.jobs.runner import Main
from lit_entropy.sweep.grid import SweepRun


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
            remarks.append(f"{label}: its settings are read but not tried: {error}")
    return remarks


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
            raise ValueError(f"{label}: {message}") from end
    except DryRunError:
        raise
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
