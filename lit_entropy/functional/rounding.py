"""Numbers that are equal but for rounding."""

from collections.abc import Sequence

import numpy as np

#: Relative to the largest of some numbers: what float64 arithmetic on equal ones leaves between
#: them at most.
ROUNDING = 1e-12


def all_the_same(values: Sequence[float] | np.ndarray) -> bool:
    """Whether finite numbers differ by rounding at most."""
    value_N = np.asarray(values, dtype=float)
    return bool(np.ptp(value_N) <= ROUNDING * np.abs(value_N).max())
