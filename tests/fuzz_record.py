"""What the fuzzing of a parser came to, in a file, and the processor time that it took."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What makes the examples, whatever is fuzzed.
EXAMPLES = "tests/fuzzing.py"
#: Checkers run in a process of their own, which loads its part of this room.
JAIL, JAILED = "lit_entropy/verify/jail.py", "lit_entropy/verify/*.py"


@dataclass
class Fuzzed:
    """What the fuzzing of a parser came to so far.

    Attributes:
        files: the sources that were fuzzed, of the package and of the test, from the root.
        source: digest of their contents.
        seconds: of processor time, of this process and of those that it started.
        examples: that were tried.
        slowest_seconds: processor seconds of the slowest of them.
        slowest: its beginning.
        found: what is wrong with the parser; empty where nothing is.
    """

    files: list[str] = field(default_factory=list)
    source: str = ""
    seconds: float = 0.0
    examples: int = 0
    slowest_seconds: float = 0.0
    slowest: str = ""
    found: str = ""

    def fresh(self, root: Path = ROOT) -> bool:
        """Whether what was fuzzed is what there is."""
        return bool(self.files) and self.source == digest(self.files, root)

    def note_sources(self) -> None:
        """Note the files of this process that a change of makes the record an old one."""
        self.files = loaded_sources()
        self.source = digest(self.files)

    def write(self, file: Path) -> None:
        """Replace a file by this record in one step."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1) + "\n")
        new.replace(file)


def read_record(file: Path) -> Fuzzed:
    """The record in a file; an empty one where there is none."""
    return Fuzzed(**json.loads(file.read_text())) if file.exists() else Fuzzed()


def loaded_sources() -> list[str]:
    """The files of the package, and of tests that fuzz, that this process has loaded."""
    places = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
    files = {Path(place).resolve() for place in places if place}
    own = {file.relative_to(ROOT) for file in files if file.is_relative_to(ROOT)}
    kept = {
        str(file) for file in own if file.parts[0] == "lit_entropy" or "test_fuzz_" in file.name
    }
    if JAIL in kept:
        kept |= {str(file.relative_to(ROOT)) for file in ROOT.glob(JAILED)}
    return sorted(kept | {EXAMPLES})


def digest(files: Iterable[str], root: Path = ROOT) -> str:
    """A number of some files' names and contents; those that are not there count as such."""
    found = hashlib.sha256()
    for name in files:
        content = (root / name).read_bytes() if (root / name).exists() else b"none"
        found.update(f"{name} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]


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
