"""Imports without the garbage collector, which costs a fifth of theirs and finds nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """No collection within; what is there at the end is never looked at again.

    Torch, Lightning and transformers are half a million objects that live as long as the process:
    each full collection of a run would visit them all.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
