"""Runs that are killed and continued, compared with the same run that nothing has disturbed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attacked_runs import CONFIGURATIONS, NAME, SMALLEST
from file_events import NONE, Fault, FileEvents
from processes import start
from same_runs import differences, lost_rows

from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.cli.start import console

#: Seconds that a process may take, on a machine with other work.
LONGEST = 600


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        kills: how many processes of it were killed.
        codes: exit codes of all of its processes.
        logs: what those printed that ended by a fault, the end of it.
        mismatches: what differs from the run that nothing has disturbed.
        lost_rows: RL steps without their row, or with two.
        restarts: seconds by the clock from a command to its training, of what was continued.
        at: the events at which it was killed.
        named: checkpoints that a resume named, which are kept.
    """

    kills: int = 0
    codes: list[int | None] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    lost_rows: int = 0
    restarts: list[float] = field(default_factory=list)
    at: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)


def run_watched(folder: str, arguments: list[str], fault: Fault) -> None:
    """One command in this process, in a working folder of its own; see ``Fault``."""
    began = time.monotonic()
    os.chdir(folder)
    tempdir = Path(folder, "tmp")
    tempdir.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(tempdir)
    trained = RunCheckpoint.on_train_start

    def on_train_start(*arguments: Any) -> None:
        trained(*arguments)
        Path(folder, "began").write_text(str(time.monotonic() - began))
        if fault.seconds:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), fault.signal))
            signal.setitimer(signal.ITIMER_REAL, fault.seconds)

    RunCheckpoint.on_train_start = on_train_start  # type: ignore[method-assign]
    Path(folder, "runs").mkdir(exist_ok=True)
    FileEvents(Path(folder, "runs"), Path(folder, "events"), fault)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else as in a background job
    sys.argv = ["lit-entropy", "fit", *SMALLEST, *arguments]
    console()


def one_process(folder: Path, arguments: list[str], fault: Fault) -> int | None:
    """Its exit code; negative is the signal that ended it."""
    log = folder / "log"
    process = start(log, run_watched, str(folder), arguments, fault)
    process.join(LONGEST)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"a run did not end within {LONGEST} s: {log.read_text()[-2000:]}")
    return process.exitcode


def reference(configuration: str, folder: Path) -> list[str]:
    """Run a configuration that nothing disturbs.

    Returns:
        The events of its files.
    """
    folder.mkdir(parents=True)
    code = one_process(folder, CONFIGURATIONS[configuration], NONE)
    assert code == 0, (folder / "log").read_text()[-3000:]
    return (folder / "events").read_text().splitlines()


def attack(configuration: str, faults: Sequence[Fault], folder: Path, whole: Path) -> Outcome:
    """Let faults happen to a run, one process after the other, let it end, and compare.

    Args:
        configuration: name of it.
        faults: of the first process, of the one that continues it, and so on.
        folder: an empty one, for this run.
        whole: that of the reference.
    """
    folder.mkdir(parents=True)
    outcome, run = Outcome(), folder / "runs" / NAME
    for fault in [*faults, NONE]:
        last = newest(run)
        if run.exists() and last is None:  # nothing to continue: it is started again
            run.rename(folder / f"unfinished-{outcome.kills}")
        if last is not None:
            kept = "last-resumed.ckpt" if last.name == "last.ckpt" else last.name
            outcome.named.append(f"checkpoints/{kept}")
        (folder / "began").unlink(missing_ok=True)
        resume = [f"--ckpt_path={last}"] if last else []
        code = one_process(folder, [*CONFIGURATIONS[configuration], *resume], fault)
        if last and (folder / "began").exists():
            outcome.restarts.append(float((folder / "began").read_text()))
        outcome.codes.append(code)
        if code == 0:
            break
        text = (folder / "log").read_text()[-1500:]
        (folder / "log").unlink()
        if fault == NONE:
            outcome.mismatches.append(f"a process ended with {code}: {text}")
            return outcome
        outcome.kills += code == -signal.SIGKILL
        outcome.at.append((folder / "events").read_text().splitlines()[-1])
        outcome.logs.append(text)
    outcome.mismatches += differences(folder, whole, outcome.named)
    outcome.lost_rows = lost_rows(run / "metrics.csv")
    return outcome


def newest(run: Path) -> Path | None:
    """The checkpoint that a resume would name."""
    folder = run / "checkpoints"
    if (folder / "last.ckpt").exists():
        return folder / "last.ckpt"
    return max(folder.glob("*.ckpt"), default=None)


def spread(events: Sequence[str], count: int, kind: Callable[[str], str]) -> list[int]:
    """Numbers of events: one of each kind, then evenly over all, at least ``count`` in all."""
    first = {kind(line): at for at, line in reversed(list(enumerate(events, 1)))}
    chosen = set(first.values())
    step = max(1, len(events) // max(1, count))
    for at in range(1, len(events) + 1, step):
        if len(chosen) >= count:
            break
        chosen.add(at)
    return sorted(chosen)
