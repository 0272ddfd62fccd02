"""Counts that fractions stand for."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.functional.quota import quota_count


@pytest.mark.parametrize(
    ("fraction", "total", "count"),
    [
        (0.1, 30, 3),  # 0.1 * 30 = 3.0000000000000004 in floating point
        (0.29, 100, 29),  # 0.29 * 100 = 28.999999999999996
        (1 / 3, 6, 2),  # 1/3 is stored a little below a third
        (1 - 0.9, 30, 3),  # 0.09999999999999998
        (2e-4, 1500, 0),  # 0.3 of a token
        (2e-3, 18341, 36),  # 36.68
        (2e-3, 500, 1),
        (2e-3, 499, 0),
        (1.0, 7, 7),
        (0.5, 0, 0),
    ],
)
def test_floor(fraction: float, total: int, count: int) -> None:
    assert quota_count(fraction, total) == count


def test_official_takes_at_least_one_and_rounds_in_floating_point() -> None:
    assert quota_count(2e-4, 1500, "official") == 1
    assert quota_count(0.29, 100, "official") == 28
    assert quota_count(2e-3, 18341, "official") == 36
    assert quota_count(0.5, 0, "official") == 0
    assert quota_count(0.0, 100, "official") == 0  # 0 switches a method off under either rule


@given(st.integers(0, 10_000), st.integers(0, 10**6))
def test_floor_is_the_decimal_floor_of_what_was_written(parts: int, total: int) -> None:
    exact = (Decimal(parts) / 10_000 * total).to_integral_value(ROUND_FLOOR)
    assert quota_count(parts / 10_000, total) == int(exact)


@given(st.floats(0, 1), st.integers(0, 10**6))
def test_counts_are_in_range_and_official_is_never_zero_when_on(
    fraction: float, total: int
) -> None:
    floor, official = quota_count(fraction, total), quota_count(fraction, total, "official")
    assert 0 <= floor <= total
    assert abs(fraction * total - floor) < 1 + 1e-9
    assert (official >= 1) == (fraction > 0 and total > 0)
    assert official <= total


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"fraction=1\.5"):
        quota_count(1.5, 10)
    with pytest.raises(ValueError, match="quota='ceil'"):
        quota_count(0.5, 10, "ceil")  # type: ignore[arg-type]
