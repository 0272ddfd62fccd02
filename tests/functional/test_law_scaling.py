"""Coefficients over model sizes, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import linregress

from lit_entropy.functional.law_scaling import extrapolate, log_linear

SIZES = [1e4, 1e5, 1e6, 1e7]


def test_hand_values() -> None:
    found = log_linear(SIZES[:3], [0.5, 0.4, 0.6])  # 0.1 over two decades, mean 0.5
    assert found.slope == pytest.approx(0.05 / math.log(10), rel=1e-12)
    assert found.intercept == pytest.approx(0.5 - 5 * 0.05, rel=1e-12)
    assert found.r2 == pytest.approx(0.005 / 0.02, rel=1e-12) and found.n == 3
    assert found.predict([1e8]) == pytest.approx([0.65], rel=1e-12)


def test_another_route() -> None:
    values = np.array([0.9, 0.7, 0.62, 0.4])
    found, other = log_linear(SIZES, values), linregress(np.log(SIZES), values)
    assert found[:3] == pytest.approx((other.slope, other.intercept, other.rvalue**2), rel=1e-9)
    bits = log_linear(np.array(SIZES) / 1024, values)  # another unit of size moves the intercept
    assert bits.slope == pytest.approx(found.slope, rel=1e-9)
    assert bits.intercept == pytest.approx(found.intercept + found.slope * math.log(1024), rel=1e-9)


def test_the_largest_from_the_smaller() -> None:
    found = extrapolate([*SIZES[::-1], 1e7], [0.66, 0.6, 0.5, 0.4, 0.74])
    assert found.predicted == pytest.approx(0.7, rel=1e-12)
    assert found.measured == pytest.approx(0.7, rel=1e-12)  # mean of two runs
    assert found.error == pytest.approx(0, abs=1e-12) and found.fit.n == 3
    wrong = extrapolate(SIZES, [0.4, 0.5, 0.6, 0.9])
    assert wrong.error == pytest.approx(-0.2, rel=1e-9)


def test_a_constant_coefficient() -> None:
    found = log_linear(SIZES, [0.5] * 4)
    assert found.slope == 0 and found.intercept == 0.5 and math.isnan(found.r2)


@pytest.mark.parametrize(
    ("function", "sizes", "values", "message"),
    [
        (log_linear, [1e4, 1e4], [0.1, 0.2], "of 10,000 are fewer than 2 sizes"),
        (extrapolate, [1e4, 1e5, 1e5], [0.1, 0.2, 0.3], "10,000, 100,000 are fewer than 3"),
        (log_linear, [1e4, 0.0], [0.1, 0.2], "positive"),
        (log_linear, [1e4, 1e5], [0.1, math.nan], "finite"),
        (log_linear, [1e4, 1e5], [0.1], "one length"),
    ],
)
def test_bad_ladders_are_refused(function, sizes: list, values: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(sizes, values)


def test_a_coefficient_that_differs_by_rounding_is_constant() -> None:
    assert math.isnan(log_linear(SIZES[:3], [0.1 + 0.2, 0.3, 0.3]).r2)
