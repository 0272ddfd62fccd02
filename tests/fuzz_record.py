"""What the fuzzing of a parser came to, in a file, and the processor time that it took."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Fuzzed:
    """What the fuzzing of a parser came to so far.

    Attributes:
        source: digest of the sources that were fuzzed.
        seconds: of processor time, of this process and of those that it started.
        examples: that were tried.
        slowest_seconds: processor seconds of the slowest of them.
        slowest: its beginning.
        found: what is wrong with the parser; empty where nothing is.
    """

    source: str = ""
    seconds: float = 0.0
    examples: int = 0
    slowest_seconds: float = 0.0
    slowest: str = ""
    found: str = ""

    def write(self, file: Path) -> None:
        """Replace a file by this record in one step."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1) + "\n")
        new.replace(file)


def read_record(file: Path) -> Fuzzed:
    """The record in a file; an empty one where there is none."""
    return Fuzzed(**json.loads(file.read_text())) if file.exists() else Fuzzed()


def processor_seconds() -> float:
    """Processor time of this process and of all that it has started, ended or not."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system + _running(os.getpid())


def _running(pid: int) -> float:
    """Processor time of the processes below one, and of those below them that have ended."""
    seconds = 0.0
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _content(file).split():
            fields = _content(Path(f"/proc/{child}/stat")).rpartition(")")[2].split()
            ticks = sum(int(ticks) for ticks in fields[11:15])
            seconds += ticks / os.sysconf("SC_CLK_TCK") + _running(int(child))
    return seconds


def _content(file: Path) -> str:
    """A file of the system's; empty where its thread or process has ended meanwhile."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
