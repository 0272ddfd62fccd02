"""Freed memory that the process keeps for the next tensor, where the C library would give it back.

A tensor of more than 128 kB is otherwise often made of fresh pages, each of which the kernel clears
when it is first written: on a CPU about a tenth of an RL step of a small model.
"""

import ctypes
import os

#: Parameters of glibc's ``mallopt``: the smallest block that is asked of the kernel for itself (32
#: MiB, the largest that glibc takes), and how much free memory at the end of the heap is kept.
_SETTINGS = {-3: 32 << 20, -1: 512 << 20}
#: Variables by which a user has set the same.
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed_memory() -> bool:
    """Let the C library keep up to 512 MiB of freed memory; no number that is computed changes.

    Returns:
        Whether it was set: not where the library has no such setting (it is glibc's), nor where a
        user has set the like in the environment (``MALLOC_...``, ``GLIBC_TUNABLES``).
    """
    chosen = [name for name in _VARIABLES if os.environ.get(name)]
    if chosen or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    return all(set_option(option, value) == 1 for option, value in _SETTINGS.items())
