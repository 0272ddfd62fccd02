"""Bounds and percent of estimates."""

from __future__ import annotations

import pytest
from reproduce.claim_judging import est

from lit_entropy.reproduce.wording import defined, lower, percent, points, positive


def test_bounds() -> None:
    assert lower(est(0.5, 0.125)) == 0.375
    assert lower(est(0.5)) is None
    assert defined(est(None)) is None
    assert defined(est(0.0)) == est(0.0)


@pytest.mark.parametrize(
    "estimates, holds",
    [
        ([est(2.0, 1.0)], True),
        ([est(1.0, 1.0)], False),  # the bound itself is 0
        ([est(2.0, 1.0), est(1.0, 2.0)], False),
        ([est(2.0, 1.0), est(5.0)], None),
        ([est(-2.0, 1.0), None], None),
    ],
)
def test_positive_means_every_interval(estimates: list, holds: bool | None) -> None:
    assert positive(*estimates) is holds


def test_percent() -> None:
    assert percent(est(0.943, 0.031)) == "94 ± 3 %"
    assert percent(est(-0.0125, 0.002), 1, signed=True) == "-1.2 ± 0.2 %"
    assert percent(est(0.5), 1, signed=True) == "+50.0 %"
    assert percent(None) == points(None) == "n/a"
    assert points(est(0.0181, 0.003)) == "+1.8 ± 0.3 points"
    assert points(est(-0.02)) == "-2.0 points"
