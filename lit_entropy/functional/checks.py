"""Checks of constructor arguments: each names the field, the value and the remedy."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

#: Largest coefficient or bound: the square of a larger one, a gradient's norm, leaves float32.
LARGEST = 1e18
#: Remedies of :func:`require_non_negative`.
OFF, NO_UPPER_CLIP = "use 0 to switch it off", "use a large number (1e9) for no upper clip"
#: Largest learning rate or weight decay.
LARGEST_RATE = 1e6
#: Largest temperature: from far below it on every token is equally likely.
LARGEST_TEMPERATURE = 1e6
#: Largest number of problems, prompts or responses: what int32 holds.
LARGEST_COUNT = 2**31 - 1
#: Longest time limit in seconds, four months; clocks refuse ones that are much longer.
LONGEST_SECONDS = 1e7


def require_fraction(field: str, value: float) -> float:
    """``value`` if it is a finite number in [0, 1], else a ValueError."""
    if not 0.0 <= value <= 1.0:  # false for NaN too
        percent = f" ({value:g} % is {value / 100:g})" if 1.0 < value <= 100.0 else ""
        raise ValueError(f"{field}={value!r} is outside [0, 1]: give a fraction{percent}")
    return value


def require_non_negative(field: str, value: float, remedy: str = "") -> float:
    """``value`` if it is from 0 to :data:`LARGEST`, else a ValueError.

    Args:
        field: name of the argument.
        value: its value.
        remedy: what the error says after the range, :data:`OFF` where 0 switches something off.
    """
    if not (math.isfinite(value) and value >= 0.0):
        end = f": {remedy}" if remedy else ""
        raise ValueError(f"{field}={value!r} must be a finite number >= 0{end}")
    return require_at_most(field, value, LARGEST)


def require_at_most(field: str, value: float, largest: float) -> float:
    """``value`` if it is not above what the numbers of a run can hold, else a ValueError."""
    if not value <= largest:  # false for NaN too
        raise ValueError(f"{field}={value!r} is too large: use {largest:,.10g} at most")
    return value


def require_count(field: str, value: int) -> int:
    """``value`` if it is a number of things, from 1 to :data:`LARGEST_COUNT`, else a ValueError."""
    if value < 1:
        raise ValueError(f"{field}={value} must be at least 1")
    require_at_most(field, value, LARGEST_COUNT)
    return value


def require_seconds(field: str, value: float) -> float:
    """``value`` if it is a time limit that clocks take, else a ValueError."""
    if not 0 < value < math.inf:  # false for NaN too
        raise ValueError(f"{field}={value!r}: use a positive number of seconds")
    return require_at_most(field, value, LONGEST_SECONDS)


def require_temperature(field: str, value: float) -> float:
    """``value`` if it is a temperature to sample at, from 0.01 to a million, else a ValueError.

    Logits over a smaller one leave the range of float32, over an infinite one they are all equal.
    """
    if not 0.01 <= value < math.inf:  # false for NaN too
        raise ValueError(f"{field}={value!r} must be a finite number >= 0.01")
    return require_at_most(field, value, LARGEST_TEMPERATURE)


def require_choice(field: str, value: str, choices: Iterable[str]) -> str:
    """``value`` if it is one of ``choices``, else a ValueError that lists them."""
    names = tuple(choices)
    if value not in names:
        raise ValueError(f"{field}={value!r} is unknown: choose one of {', '.join(names)}")
    return value


def require_rates(field: str, groups: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a number of an optimizer that can only overflow; torch refuses negative ones.

    Args:
        field: where the optimizer is set.
        groups: its ``param_groups``.

    Raises:
        ValueError: names the number.
    """
    for group in groups:
        for key, value in group.items():
            # a learning rate may be a tensor
            if isinstance(value, int | float) or getattr(value, "ndim", None) == 0:
                number, name = float(value), f"{field}.{key}"
                if not math.isfinite(number):
                    raise ValueError(f"{name}={number}: use a finite number")
                rate = key.endswith("lr") or key == "weight_decay"
                require_at_most(name, number, LARGEST_RATE if rate else LARGEST)
