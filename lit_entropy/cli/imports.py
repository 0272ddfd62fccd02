"""Imports without the garbage collector, and what is wrong with one that failed."""

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lit_entropy.closest import did_you_mean


@contextmanager
def without_collections() -> Iterator[None]:
    """No collection within; what is there at the end is never looked at again.

    The collector costs a fifth of the imports and finds nothing.
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


def import_fault(path: str) -> str | None:
    """Why ``module.Class`` cannot be imported, in one sentence; None where it can.

    Nothing is imported for it: the parser has tried.

    Args:
        path: of a class or a function.
    """
    place, _, name = path.rpartition(".")
    if (module := sys.modules.get(place)) is not None:
        public = [known for known in vars(module) if not known.startswith("_")]
        near = did_you_mean(name, public)
        return None if hasattr(module, name) else f"the module {place} has no {name}{near}"
    package = place.partition(".")[0]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return None
    return f"there is no module {package}; {beside(package)}"


def beside(module: str) -> str:
    """How Python finds a module of the user, which may lie in the working folder."""
    for name in (f"{module}.py", module):
        if os.path.exists(name):
            return f"{name} is here: write PYTHONPATH=. before the command"
    return "put the folder that it is in on PYTHONPATH"
