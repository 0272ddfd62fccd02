"""Every change that a process makes to the files of a folder, counted, and a fault at one of them.

Opening for writing, each write below Python's buffers, truncating, syncing, renaming, removing,
making a folder: an event is counted before it happens, so that a kill at event n leaves the files
as they are between two changes. A write can also be torn: half of its bytes, then the fault.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Audit events of the interpreter, and which of their arguments are paths.
_CHANGES = {
    "os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.truncate": 1, "os.link": 2,
    "os.symlink": 2, "os.chmod": 1, "os.utime": 1,
}  # fmt: skip
#: What a full disk does not refuse.
_FREES = ("remove", "rmdir", "truncate", "rename")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Fault:
    """What happens to a process, and when.

    Attributes:
        event: number of the file event before which it happens, from 1; 0 where anything else
            decides.
        place: or the first event whose ``kind_of`` begins with this expression.
        nth: or the second such event, or the third.
        torn: a write has written the first half of its bytes before.
        seconds: after the start of the training, where no event decides.
        signal: that the process sends itself; SIGKILL by default.
        error: number of the system's error that the event fails with, in place of a signal.
        lasting: later events fail as well.
        short: every write takes one half of its bytes, or one byte, and says so: no error.
    """

    event: int = 0
    place: str = ""
    nth: int = 1
    torn: bool = False
    seconds: float = 0.0
    signal: int = signal.SIGKILL
    error: int = 0
    lasting: bool = False
    short: bool = False


NONE = Fault()


class FileEvents:
    """Counts what happens below a folder from now on; the hooks stay until the process ends.

    Args:
        folder: whose files are watched.
        record: a file elsewhere that gets one line an event: its number, kind and place.
        fault: what happens at one of them.
    """

    def __init__(self, folder: Path, record: Path, fault: Fault = NONE) -> None:
        self.count = 0
        self._folder = f"{folder.resolve()}/"
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._fault, self._happened, self._at_place = fault, False, 0
        self._write = os.write
        sys.addaudithook(self._audit)
        self._watch_writes()

    def event(self, kind: str, path: str, tear: Callable[[], object] | None = None) -> None:
        """Count an event, and let the fault happen if it is the one."""
        self.count += 1
        place = path.replace(self._folder, "")
        line = f"{self.count} {kind} {place}"
        self._write(self._record, f"{line}\n".encode())
        fault = self._fault
        self._at_place += bool(fault.place and re.match(fault.place, kind_of(line)))
        named = self._at_place == fault.nth and not self._happened
        if self.count == fault.event or named or (fault.lasting and self._happened):
            self._happened = True
            if fault.torn and tear is not None:
                tear()
            if fault.error == errno.ENOSPC and kind in _FREES:
                return
            if fault.error:
                raise OSError(fault.error, os.strerror(fault.error), path)
            os.kill(os.getpid(), fault.signal)

    def taken(self, data: Any) -> Any:
        """What a write takes of its bytes."""
        whole = memoryview(data).cast("B")
        return whole[: max(1, len(whole) // 2)] if self._fault.short else whole

    @property
    def watches_ends(self) -> bool:
        """Whether closing is an event: for a fault there alone, since it changes no file."""
        return self._fault.place.startswith("close")

    def watched(self, path: Any, folder: int = -1) -> str:
        """The whole path of a watched file, else an empty text."""
        if isinstance(path, int):
            name = os.readlink(f"/proc/self/fd/{path}")
        else:
            above = os.readlink(f"/proc/self/fd/{folder}") if folder > 0 else os.getcwd()
            name = os.path.normpath(os.path.join(above, os.fsdecode(path)))
        return name if name.startswith(self._folder) else ""

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and flags & _WRITES and (name := self.watched(path)):
                self.event("open", name)
        elif event in _CHANGES:
            paths = _CHANGES[event]
            folder = arguments[paths] if event in ("os.remove", "os.rmdir") else -1
            names = [self.watched(path, folder) for path in arguments[:paths] if path is not None]
            if any(names):
                self.event(event.removeprefix("os."), " ".join(name for name in names if name))

    def _watch_writes(self) -> None:
        """Writes and syncs are no audit events."""
        events, opened = self, builtins.open

        class WatchedFile(io.FileIO):
            def write(self, data: Any) -> int:
                tear = lambda: io.FileIO.write(self, bytes(data)[: len(data) // 2])  # noqa: E731
                events.event("write", str(self.path), tear)
                return super().write(events.taken(data))

            def close(self) -> None:
                closing = not self.closed and events.watches_ends
                super().close()
                if closing:
                    events.event("close", str(self.path))

            def truncate(self, size: int | None = None) -> int:
                events.event("truncate", str(self.path))
                return super().truncate(size)

        def watched_open(
            file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,
            errors: str | None = None, newline: str | None = None, closefd: bool = True,
            opener: Any = None,
        ) -> Any:  # fmt: skip
            name = self.watched(file if isinstance(file, int) else os.fspath(file))
            if not name or not set(mode) & set("wax+"):
                return opened(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = WatchedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
            raw.path = name  # type: ignore[attr-defined]
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffered
            text = io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)
            text.mode = mode  # type: ignore[misc]
            return text

        builtins.open = io.open = watched_open  # type: ignore[assignment]
        os.fsync = self._counted(os.fsync, "fsync")  # type: ignore[assignment]
        os.write = self._counted(os.write, "write")  # type: ignore[assignment]
        os.ftruncate = self._counted(os.ftruncate, "truncate")  # type: ignore[assignment]

    def _counted(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counted(file: Any, *arguments: Any) -> Any:
            name = self.watched(file if isinstance(file, int) else file.fileno())
            if name:
                self.event(kind, name)
            return function(file, *arguments)

        return counted


def kind_of(line: str) -> str:
    """What an event of a record does and to which kind of file, without numbers of steps."""
    _, kind, place = line.split(" ", 2)
    return f"{kind} {re.sub(r'[0-9]+', '#', place)}"
