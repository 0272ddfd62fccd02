"""Argument checks name the field, the value and the remedy."""

from __future__ import annotations

import pytest

from lit_entropy.functional.checks import require_choice, require_fraction, require_non_negative


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, float("nan"), float("inf")])
def test_fraction_outside_the_unit_interval(value: float) -> None:
    with pytest.raises(ValueError, match=r"fraction=.*outside \[0, 1\]: give a fraction"):
        require_fraction("fraction", value)


def test_a_percentage_is_told_what_it_is_as_a_fraction() -> None:
    with pytest.raises(ValueError, match=r"give a fraction \(20 % is 0\.2\)"):
        require_fraction("fraction", 20.0)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_negative_or_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match=r"coef=.*>= 0"):
        require_non_negative("coef", value)


def test_unknown_choice_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="quota='ceil' is unknown: choose one of floor, official"):
        require_choice("quota", "ceil", ("floor", "official"))


def test_valid_values_pass_through() -> None:
    assert require_fraction("fraction", 0.0) == 0.0
    assert require_fraction("fraction", 1.0) == 1.0
    assert require_non_negative("coef", 3.5) == 3.5
    assert require_choice("quota", "floor", ("floor",)) == "floor"
