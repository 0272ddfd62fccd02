"""Checks of constructor arguments: each names the field, the value and the remedy."""

import math
from collections.abc import Iterable


def require_fraction(field: str, value: float) -> float:
    """``value`` if it is a finite number in [0, 1], else a ValueError."""
    if not 0.0 <= value <= 1.0:  # false for NaN too
        percent = f" ({value:g} % is {value / 100:g})" if 1.0 < value <= 100.0 else ""
        raise ValueError(f"{field}={value!r} is outside [0, 1]: give a fraction{percent}")
    return value


def require_non_negative(field: str, value: float) -> float:
    """``value`` if it is finite and at least 0, else a ValueError."""
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{field}={value!r} must be a finite number >= 0: use 0 to switch it off")
    return value


def require_temperature(field: str, value: float) -> float:
    """``value`` if it is a temperature to sample at, from 0.01 on, else a ValueError.

    Logits over a smaller one leave the range of float32, over an infinite one they are all equal.
    """
    if not 0.01 <= value < math.inf:  # false for NaN too
        raise ValueError(f"{field}={value!r} must be a finite number >= 0.01")
    return value


def require_choice(field: str, value: str, choices: Iterable[str]) -> str:
    """``value`` if it is one of ``choices``, else a ValueError that lists them."""
    names = tuple(choices)
    if value not in names:
        raise ValueError(f"{field}={value!r} is unknown: choose one of {', '.join(names)}")
    return value
