"""The trainer's side of the jailed process: start it, ask it, bound it, replace it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any

#: A request or a reply: one JSON object.
Message = dict[str, Any]
#: Environment variables that the process is given; the rest may hold secrets.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
#: Seconds by the clock for each second of processor time that a request is granted.
CLOCK_FACTOR = 10.0
#: A process that is not ready after so many seconds has failed to start.
START_SECONDS = 120.0
#: Failures to start that are an error; unexplained deaths in a row that need a new start.
PATIENCE = 3
#: A worker hands over to a fresh fork after so many requests: caches of parsers grow without end.
REQUESTS_A_WORKER = 5000
#: Longest reply, bytes.
MAX_REPLY = 10_000

_CHILD = Path(__file__).with_name("child.py")


class CheckerError(RuntimeError):
    """The checking process does not work at all; no verdict can be had."""


class Jail:
    """One jailed process that answers one request at a time.

    It has no environment but a short allow-list, its own session, and limits on memory, processor
    time, files and processes. It opens no connection of its own, but the operating system does not
    forbid it one: this bounds accidents and hostile expressions, it is no sandbox for programs.

    Args:
        kind: what the process checks with, a key of ``LOADERS`` in ``child.py``.
        cpu_seconds: processor time of a request; by the clock it may take ``CLOCK_FACTOR`` times as
            long, should the process be starved or stopped.
        memory_mb: address space of the process, MiB.
    """

    def __init__(self, kind: str, cpu_seconds: float, memory_mb: int) -> None:
        self.kind, self.cpu_seconds, self.memory_mb = kind, cpu_seconds, memory_mb
        self._reset()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._finalizer: weakref.finalize | None = None
        self._request = 0
        self._deaths = 0

    def __reduce__(self) -> tuple[type[Jail], tuple[str, float, int]]:
        """A copy starts a process of its own."""
        return Jail, (self.kind, self.cpu_seconds, self.memory_mb)

    @property
    def pid(self) -> int | None:
        """Process id, and that of its session; None before the first request."""
        return None if self._process is None else self._process.pid

    def ask(self, request: Message) -> Message:
        """The process's reply; ``{"failure": kind}`` where there is none.

        Kinds: ``timeout``, ``memory``, ``crashed`` (the process died), ``error`` (an exception).
        Where the whole process is gone, and not its worker alone, the request is asked once more.

        Raises:
            CheckerError: the process cannot be started.
        """
        if self._owner != os.getpid():  # in a fork: the process belongs to the other one
            self._reset()
        if self._deaths >= PATIENCE:  # whether it works at all shows when it starts
            self.close()
            self._deaths = 0
        self._request += 1
        message = json.dumps({**request, "id": self._request}).encode()
        reply = {"failure": "crashed"}
        for _ in range(2):
            try:
                self._alive().send_bytes(message)
                reply = self._receive(time.monotonic() + CLOCK_FACTOR * self.cpu_seconds)
                break
            except (OSError, EOFError):  # ended from outside, perhaps since the last request
                self.close()
        unexplained = reply.get("failure") == "crashed" or "clock" in reply
        self._deaths = self._deaths + 1 if unexplained else 0
        return reply

    def close(self) -> None:
        """End the process; the next request starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._connection = self._finalizer = None

    def _receive(self, deadline: float) -> Message:
        assert self._connection is not None and self._process is not None
        try:
            while self._connection.poll(max(0.0, deadline - time.monotonic())):
                seconds = deadline - time.monotonic()
                received = _received(self._connection, self._process, seconds)
                if received is None:
                    break
                reply = json.loads(received)
                if reply["id"] == self._request:
                    return dict(reply)
            failure: Message = {"failure": "timeout", "clock": True}
        except (ValueError, TypeError, KeyError, RecursionError):  # no reply of the program's
            failure = {"failure": "crashed"}
        self.close()
        return failure

    def _alive(self) -> Connection:
        """The connection to a process that works."""
        if self._connection is not None and self._process is not None:
            if self._process.poll() is None:
                return self._connection
            self.close()
        reason = ""
        for _ in range(PATIENCE):
            try:
                connection, reason = self._start()
            except OSError as error:  # no room for a process, a pipe or a file
                connection, reason = None, str(error)
            if connection is not None:
                return connection
        raise CheckerError(
            f"the checking process ({self.kind}) did not start in {PATIENCE} tries: {reason}. "
            f"Try `{sys.executable} -c 'import {self.kind}'`; memory_mb={self.memory_mb} may be "
            "too little"
        )

    def _start(self) -> tuple[Connection | None, str]:
        """The connection to a new process that says that it works, or why there is none."""
        ours, theirs = Pipe()
        with tempfile.TemporaryFile() as errors:
            process = _launch(theirs, errors)
            setup = {
                "kind": self.kind,
                "path": [str(Path(entry).absolute()) for entry in sys.path if entry],
                "cpu_seconds": self.cpu_seconds,
                "requests_a_worker": REQUESTS_A_WORKER,
                "memory_bytes": self.memory_mb * 2**20,
            }
            reason = f"not ready after {START_SECONDS:g} s"
            try:
                ours.send_bytes(json.dumps(setup).encode())
                if ours.poll(START_SECONDS) and _received(ours, process, START_SECONDS) is not None:
                    self._process, self._connection = process, ours
                    self._finalizer = weakref.finalize(self, _end, process, ours, os.getpid())
                    return ours, ""
            except (OSError, EOFError):
                process.wait()
                errors.seek(0)
                said = errors.read()[-600:].decode(errors="replace").strip()
                reason = said or f"it ended with code {process.returncode}"
        _end(process, ours, os.getpid())
        return None, reason


def _launch(connection: Connection, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the program; ``connection`` is its own end, closed here."""
    descriptor = connection.fileno()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_CHILD), str(descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=_environment(),
        pass_fds=(descriptor,),
        start_new_session=True,
    )
    connection.close()
    return process


def _received(
    connection: Connection, process: subprocess.Popen[bytes], seconds: float
) -> bytes | None:
    """The message that a process has begun to send.

    Args:
        connection: to the process.
        process: is killed, with its workers, where the rest does not come; None is returned then.
        seconds: by the clock that the rest may take.

    Raises:
        EOFError: the process has ended.
        OSError: it has, or the message is too long.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(max(0.0, seconds), end)
    timer.daemon = True
    timer.start()
    try:
        return connection.recv_bytes(MAX_REPLY)
    except (OSError, EOFError):
        if over.is_set():
            return None
        raise
    finally:
        timer.cancel()
        timer.join()  # or it could kill a process that has got its number


def _environment() -> dict[str, str]:
    """The allow-list, and one thread for libraries of numbers."""
    given = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return given | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _end(process: subprocess.Popen[bytes], connection: Connection, owner: int) -> None:
    """Kill the process and its workers, which share its session; a fork of the owner may not."""
    if os.getpid() != owner:
        return
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, signal.SIGKILL)
    connection.close()
    process.wait()
