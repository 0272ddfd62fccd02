"""A function run in a process of its own, whose memory and threads are nobody else's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection


def separately(function: Callable[..., float], *arguments: object) -> float:
    """The number that a function returns in a fresh process.

    Args:
        function: of a module, so that the process can import it.
        arguments: what it is given.

    Raises:
        RuntimeError: the process ends without a number.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(theirs, function, *arguments))
    process.start()
    theirs.close()
    try:
        return float(ours.recv())
    except EOFError as error:
        raise RuntimeError(
            f"the process of {function.__name__}{arguments} died: out of memory?"
        ) from error
    finally:
        process.join()


def _send(pipe: Connection, function: Callable[..., float], *arguments: object) -> None:
    pipe.send(function(*arguments))
    pipe.close()
