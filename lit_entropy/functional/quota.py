"""How many tokens a fraction of a batch means."""

from typing import Literal, get_args

from lit_entropy.functional.checks import require_choice, require_fraction

Quota = Literal["floor", "official"]


def quota_count(fraction: float, total: int, quota: Quota = "floor") -> int:
    """How many of ``total`` tokens a fraction means.

    ``floor`` is the paper's floor(fraction * N), forgiving the rounding of floating point: 0.29 of
    100 is 29 although 0.29 * 100 = 28.999999999999996. ``official`` is the official code's
    max(1, int(fraction * N)) in plain floating point. A fraction of 0 selects nothing under either.

    Args:
        fraction: in [0, 1].
        total: scored tokens N.
        quota: rounding rule.

    Returns:
        A count in 0..total.

    Raises:
        ValueError: on a fraction outside [0, 1] or an unknown rule.
    """
    require_fraction("fraction", fraction)
    require_choice("quota", quota, get_args(Quota))
    if fraction == 0.0 or total == 0:
        return 0
    if quota == "official":
        return min(max(1, int(fraction * total)), total)
    return min(int(fraction * total * (1.0 + 1e-12)), total)
