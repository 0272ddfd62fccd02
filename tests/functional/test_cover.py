"""Cover@tau: its definition, its tie to pass@k, and what few samples can tell."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lit_entropy.functional.cover import cover, cover_bounds, cover_name, required_count
from lit_entropy.functional.pass_at_k import pass_at_k

EIGHT = torch.full((4,), 8)


def test_by_hand() -> None:
    counts = torch.tensor([0, 2, 4, 8])
    assert cover(counts, EIGHT, 0.25).tolist() == [0, 1, 1, 1]  # the threshold itself counts
    assert cover(counts, EIGHT, 0.26).tolist() == [0, 0, 1, 1]
    assert cover(counts, EIGHT, 1.0).tolist() == [0, 0, 0, 1]
    # a success rate of any size: pass@n
    torch.testing.assert_close(cover(counts, EIGHT, 0.0), pass_at_k(counts, 8, 8))


@given(st.integers(1, 200), st.integers(0, 200))
def test_thresholds_written_as_decimals_are_met_exactly(n: int, hundredths: int) -> None:
    tau = Fraction(hundredths % 101, 100)
    expected = max(1, -((-tau * n) // 1))
    assert required_count(n, float(tau)) == expected


@given(st.floats(0, 1))
def test_the_name_of_a_score_holds_its_threshold_exactly(tau: float) -> None:
    assert float(cover_name(tau).removeprefix("cover@")) == tau
    assert (cover_name(0.2), cover_name(1.0), cover_name(1)) == ("cover@0.2", "cover@1", "cover@1")


def test_pass_at_k_is_a_beta_mean_of_cover() -> None:
    """pass@k = E[Cover@tau] for tau ~ Beta(1, k) (2510.08325), here for known success rates."""
    rates = np.array([0.05, 0.2, 0.2, 0.7, 0.95])
    grid = (np.arange(200_000) + 0.5) / 200_000
    covered = (rates[:, None] >= grid).mean(0)
    for k in (1, 4, 16):
        weighted = float((covered * stats.beta.pdf(grid, 1, k)).mean())
        assert weighted == pytest.approx(float((1 - (1 - rates) ** k).mean()), abs=1e-4)


def test_the_plug_in_is_biased_and_the_bounds_say_so() -> None:
    """400 problems of rate 0.4 at tau 0.5: none is covered, 8 samples say 41 %."""
    generator = torch.Generator().manual_seed(0)
    counts = (torch.rand(400, 8, generator=generator) < 0.4).sum(1)
    size = torch.full((400,), 8)
    chance = float(stats.binom.sf(3, 8, 0.4))  # P(4 or more of 8) = 0.406
    assert cover(counts, size, 0.5).mean().item() == pytest.approx(chance, abs=0.06)
    low, high = cover_bounds(counts, size, 0.5)
    assert low < 0.02 and high > 0.97
    many = (torch.rand(400, 512, generator=generator) < 0.4).sum(1)
    low, high = cover_bounds(many, torch.full((400,), 512), 0.5)
    assert low == 0.0 and high < 0.02  # enough samples settle it


def test_bounds_by_hand() -> None:
    """Clopper-Pearson for 0 of 8 and 8 of 8: [0, 0.369] and [0.631, 1] (1 - 0.025^(1/8))."""
    end = 1 - 0.025 ** (1 / 8)
    counts, size = torch.tensor([0, 8]), torch.tensor([8, 8])
    assert cover_bounds(counts, size, end - 1e-6) == (0.5, 1.0)
    assert cover_bounds(counts, size, end + 1e-6) == (0.5, 0.5)
    assert cover_bounds(counts, size, 1 - end + 1e-6) == (0.0, 0.5)


@pytest.mark.parametrize("tau", [-0.1, 1.1])
def test_thresholds_outside_the_unit_interval(tau: float) -> None:
    with pytest.raises(ValueError, match=rf"tau={tau} must lie in \[0, 1\]"):
        required_count(8, tau)


def test_other_mistakes() -> None:
    with pytest.raises(ValueError, match="n=0"):
        required_count(0, 0.5)
