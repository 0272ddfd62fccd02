"""Runs whose own parts turn against them: what they say, and what continues them once mended."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from attacked_runs import CONFIGURATIONS
from file_events import NONE, Fault
from hostile_parts import HOSTILE, SAID
from killed_runs import LONGEST, one_process, run_watched
from processes import start
from same_runs import differences

#: The run of parts that turn hostile when they are told to.
PARTS = "hostile parts"
#: How the command begins what it says of an error.
OURS = "lit-entropy: "
MOST_LINES = 5


@dataclass
class Ended:
    """How a run with a hostile part ended.

    Attributes:
        mode: what the part did.
        code: exit code of the run.
        lines: what it said of the error.
        wrong: what was not as promised.
    """

    mode: str
    code: int | None
    lines: list[str]
    wrong: list[str] = field(default_factory=list)


def attack_by_part(mode: str, folder: Path, whole: Path) -> Ended:
    """Let a part turn against its run, and continue that with the part mended.

    Args:
        mode: a key of ``SAID``.
        folder: of the run; made here.
        whole: that of the run that nothing has disturbed.
    """
    folder.mkdir(parents=True)
    # one that hangs is interrupted
    fault = Fault(seconds=3, signal=signal.SIGINT) if "hangs" in mode else NONE
    given = [str(folder), CONFIGURATIONS[PARTS], fault]
    process = start(folder / "log", run_watched, *given, environment={HOSTILE: mode})
    process.join(LONGEST)
    text = (folder / "log").read_text()
    ended = Ended(mode, process.exitcode, error_lines(text))
    if process.exitcode in (0, None):
        ended.wrong.append(f"exit code {process.exitcode}")
    if not 1 <= len(ended.lines) <= MOST_LINES or "Traceback" in text:
        ended.wrong.append(f"{len(text.splitlines())} lines: {text[-2000:]}")
    elif SAID[mode] not in ended.lines[-1]:
        ended.wrong.append(f"its last line is {ended.lines[-1]!r}")
    (folder / "log").unlink()
    if "deletes" in mode or "empties" in mode:
        return ended  # what it had is gone; the last line has said so
    if one_process(folder, [*CONFIGURATIONS[PARTS], "--ckpt_path=last"], NONE) != 0:
        ended.wrong.append(f"not continued: {(folder / 'log').read_text()[-2000:]}")
        return ended
    ended.wrong += differences(folder, whole)
    return ended


def error_lines(text: str) -> list[str]:
    """What a command has said of its error: all from there on; its last line where it was told."""
    lines = text.strip().splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith(OURS)), len(lines) - 1)
    return lines[first:]
