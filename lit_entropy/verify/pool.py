"""Several jailed processes that share a list of requests."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lit_entropy.verify.jail import Jail, Message

#: Longest time limit in seconds and largest address space in MiB: the system refuses much more.
LONGEST, LARGEST = 10**7, 2**31


class JailPool:
    """Jailed processes; usable from any thread, each request goes to a free one.

    Args:
        kind: what they check with, see :class:`~lit_entropy.verify.jail.Jail`.
        cpu_seconds: processor time of a request.
        memory_mb: address space of each process, MiB.
        workers: number of processes, started when they are needed.

    Raises:
        ValueError: a number out of range.
    """

    def __init__(self, kind: str, cpu_seconds: float, memory_mb: int, workers: int) -> None:
        if not 0 < cpu_seconds < float("inf"):
            raise ValueError(f"timeout={cpu_seconds}: use a positive number of seconds")
        for name, value, largest in (
            ("timeout", cpu_seconds, LONGEST), ("memory_mb", memory_mb, LARGEST),
        ):  # fmt: skip
            if value > largest:
                raise ValueError(f"{name}={value} is too large: use {largest:,} at most")
        if memory_mb < 256:
            raise ValueError(f"memory_mb={memory_mb}: the checking process needs at least 256")
        if workers < 1:
            raise ValueError(f"workers={workers}: use at least 1")
        self._settings = (kind, cpu_seconds, memory_mb, workers)
        self.jails = [Jail(kind, cpu_seconds, memory_mb) for _ in range(workers)]
        self._free: queue.LifoQueue[Jail] = queue.LifoQueue()
        for jail in reversed(self.jails):  # the first one serves while one is enough
            self._free.put(jail)

    def __reduce__(self) -> tuple[type[JailPool], tuple[str, float, int, int]]:
        """A copy starts processes of its own."""
        return JailPool, self._settings

    def ask(self, request: Message) -> Message:
        """The reply to one request, see :meth:`Jail.ask`."""
        jail = self._free.get()
        try:
            return jail.ask(request)
        finally:
            self._free.put(jail)

    def ask_all(self, requests: Sequence[Message]) -> list[Message]:
        """The replies in order, all processes at work."""
        if len(self.jails) == 1 or len(requests) < 2:
            return [self.ask(request) for request in requests]
        with ThreadPoolExecutor(len(self.jails)) as threads:
            return list(threads.map(self.ask, requests))

    def close(self) -> None:
        """End the processes; the next request starts others."""
        for jail in self.jails:
            jail.close()
