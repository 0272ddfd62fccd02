"""The random numbers of :mod:`lit_entropy.functional.rng` where torch is not needed."""

import numpy as np
from numpy.typing import NDArray

from lit_entropy.functional.mixing import absorb, key_number, shift_right


def uniforms(*keys: int | str | NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), bit for bit those of ``rng.uniforms``.

    Args:
        keys: ints, strings (a purpose), or int64 arrays, which broadcast against each other.

    Returns:
        float64 array of the keys' broadcast shape.
    """
    state = np.zeros((), dtype=np.int64)
    with np.errstate(over="ignore"):  # 64 bits wrap around
        for key in keys:
            number = key_number(key) if isinstance(key, str) else key
            state = absorb(state, np.asarray(number, dtype=np.int64))
    return np.asarray(shift_right(state, 11), dtype=np.float64) * 2.0**-53
