"""pass@k against binomials, an enumeration of draws, and its limits."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.functional.pass_at_k import pass_at_k, standard_error


@given(st.data())
def test_binomial_formula(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    k = data.draw(st.integers(1, n))
    c = data.draw(st.integers(0, n))
    expected = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k([c], n, k).item() == pytest.approx(expected, abs=1e-12)


def test_enumeration_of_every_draw() -> None:
    # n = 6, c = 2, k = 3: 20 draws, of which C(4, 3) = 4 miss: 16 / 20 = 0.8.
    correct = [1, 1, 0, 0, 0, 0]
    hits = [any(draw) for draw in combinations(correct, 3)]
    assert pass_at_k([2], 6, 3).item() == pytest.approx(sum(hits) / len(hits)) == pytest.approx(0.8)


def test_limits() -> None:
    counts = torch.tensor([0, 1, 5, 8])
    assert pass_at_k(counts, 8, 1).tolist() == pytest.approx([0.0, 0.125, 0.625, 1.0])
    assert pass_at_k(counts, 8, 8).tolist() == [0.0, 1.0, 1.0, 1.0]
    large = pass_at_k(torch.tensor([3]), 10_000, 5_000).item()  # C(10000, 5000) overflows a float
    assert large == pytest.approx(0.875, abs=1e-3)  # 1 - (1/2)^3, without replacement


def test_monotone_in_k_and_in_the_count() -> None:
    by_k = [pass_at_k([3], 16, k).item() for k in range(1, 17)]
    assert by_k == sorted(by_k) and by_k[0] == pytest.approx(3 / 16)
    by_count = pass_at_k(torch.arange(17), 16, 4)
    assert (by_count.diff() >= 0).all()
    assert pass_at_k(torch.arange(17), 16, 4).dtype == torch.float64


@pytest.mark.parametrize("k", [0, 9])
def test_k_outside_the_samples(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k={k} is outside 1\.\.n with n=8"):
        pass_at_k([1], 8, k)


@pytest.mark.parametrize("count", [-1, 9])
def test_count_outside_the_samples(count: int) -> None:
    with pytest.raises(ValueError, match="correct_counts"):
        pass_at_k([count], 8, 1)


def test_standard_error() -> None:
    # std of (0, 1, 1, 0) = sqrt(1/3); / sqrt(4) = 0.288675
    assert standard_error(torch.tensor([0.0, 1.0, 1.0, 0.0])).item() == pytest.approx(0.2886751346)
    assert math.isnan(standard_error(torch.tensor([0.5])).item())
