"""Slope, squared correlation and sign agreement of predicted and realised changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.functional.agreement import (
    correlation,
    opposed,
    relative_error,
    sign_agreement,
    slope_through_origin,
    squared_correlation,
)

X = torch.tensor([1.0, 2.0, -1.0])
Y = torch.tensor([2.0, 2.0, 0.0])


def test_hand_values() -> None:
    # sum xy = 2 + 4 - 0 = 6, sum xx = 1 + 4 + 1 = 6
    assert slope_through_origin(X, Y) == 1.0
    # means 2/3 and 4/3; sum dx dy = 6 - 3 * 2/3 * 4/3 = 10/3; sum dx^2 = 6 - 4/3 = 14/3;
    # sum dy^2 = 8 - 16/3 = 8/3; r^2 = (100/9) / (112/9) = 25/28
    assert squared_correlation(X, Y) == pytest.approx(25 / 28, rel=1e-14)
    # signs: ++, ++, -0
    assert sign_agreement(X, Y) == pytest.approx(2 / 3, rel=1e-15)
    assert sign_agreement(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])) == 0.5


def test_relative_error_by_hand() -> None:
    # differences (-1, 0, -1), norm sqrt 2; realised (2, 2, 0), norm sqrt 8
    assert relative_error(X, Y) == pytest.approx(0.5, rel=1e-15)
    assert relative_error(Y, Y) == 0.0
    assert relative_error(-Y, Y) == pytest.approx(2.0, rel=1e-15)


def test_r2_does_not_know_the_sign_that_opposed_knows() -> None:
    assert correlation(X, -10 * X) == pytest.approx(-1.0, rel=1e-15)
    assert squared_correlation(X, -10 * X) == pytest.approx(1.0, rel=1e-15)
    assert opposed(X, -10 * X) and not opposed(X, Y)
    # both always fall, but the more was foretold the less fell: slope 10/14, correlation -1
    falls = torch.tensor([-1.0, -2.0, -3.0])
    assert slope_through_origin(falls, falls.flip(0)) == pytest.approx(10 / 14)
    assert opposed(falls, falls.flip(0))
    # the more was foretold the more fell, but it rose: correlation 1, slope -16/14
    assert correlation(falls, falls + 5) == pytest.approx(1.0, rel=1e-15)
    assert opposed(falls, falls + 5)
    assert not opposed(X, torch.zeros(3)) and not opposed(torch.zeros(3), X)


def test_undefined_numbers_are_none() -> None:
    empty = torch.tensor([])
    assert slope_through_origin(empty, empty) is None
    assert sign_agreement(empty, empty) is None
    assert slope_through_origin(torch.zeros(3), Y) is None
    assert relative_error(empty, empty) is None
    assert relative_error(X, torch.zeros(3)) is None
    assert squared_correlation(X[:2], Y[:2]) is None
    assert squared_correlation(torch.full((3,), 0.1), Y) is None
    assert squared_correlation(X, torch.full((3,), 0.1)) is None


def test_small_changes_do_not_underflow() -> None:
    tiny = X.double() * 1e-200
    assert squared_correlation(tiny, Y) == pytest.approx(25 / 28, rel=1e-12)
    assert relative_error(2 * tiny, tiny) == pytest.approx(1.0, rel=1e-12)


def test_lengths_must_agree() -> None:
    for function in (slope_through_origin, squared_correlation, sign_agreement, relative_error):
        with pytest.raises(ValueError, match="one length"):
            function(X, Y[:2])


numbers = st.floats(-100, 100).map(lambda value: round(value, 3))
samples = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=20)


@given(samples, st.floats(0.01, 100))
def test_scale_of_predictions_moves_the_slope_alone(
    pairs: list[tuple[float, float]], scale: float
) -> None:
    x, y = torch.tensor(pairs, dtype=torch.float64).T
    slope, scaled = slope_through_origin(x, y), slope_through_origin(scale * x, y)
    assert (slope is None) == (scaled is None)
    if slope is not None:
        assert scaled == pytest.approx(slope / scale, rel=1e-9, abs=1e-12)
        residual = y - slope * x  # least squares: the residual is orthogonal to x
        assert float((residual * x).sum()) == pytest.approx(0, abs=1e-6)
    r2 = squared_correlation(x, y)
    if r2 is not None:
        assert 0 <= r2 <= 1
        reference = float(torch.corrcoef(torch.stack([x, y]))[0, 1]) ** 2
        assert r2 == pytest.approx(reference, abs=1e-9)
    assert sign_agreement(scale * x, y) == sign_agreement(x, y)


def test_arrays_give_what_tensors_give() -> None:
    for function in (slope_through_origin, squared_correlation, sign_agreement, relative_error):
        for x, y in ((X, Y), (X.float() * 1e-3, Y.float()), (torch.zeros(3), Y), (X[:2], Y[:2])):
            tensors, arrays = function(x, y), function(x.numpy(), y.numpy())
            assert arrays == (None if tensors is None else pytest.approx(tensors, rel=1e-14))


def test_numbers_that_differ_by_rounding_have_no_spread() -> None:
    several = torch.tensor([1.0, 2, 3, 4], dtype=torch.float64)
    equal = torch.tensor([0.3, 0.1 + 0.2, 0.3, 0.3], dtype=torch.float64)
    assert correlation(several, equal) is None and correlation(equal, several) is None
