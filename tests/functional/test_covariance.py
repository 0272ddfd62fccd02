"""Token covariance and selections against loops, torch.cov, and changes that must not matter."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lit_entropy.functional.covariance import (
    band_mask,
    random_band_mask,
    tail_means,
    token_covariance,
    top_fraction_mask,
)
from lit_entropy.functional.quota import quota_count


def ragged(rows: int = 6, columns: int = 9, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logprobs = -torch.empty(rows, columns).exponential_(generator=generator)
    advantages = torch.randn(rows, 1, generator=generator).expand(rows, columns).contiguous()
    lengths = torch.randint(1, columns + 1, (rows, 1), generator=generator)
    return logprobs, advantages, torch.arange(columns) < lengths


def test_hand_values() -> None:
    logprobs, advantages = torch.tensor([[-1.0, -2.0, -6.0]]), torch.tensor([[1.0, 1.0, -2.0]])
    # means -3 and 0; deviations 2, 1, -3 times 1, 1, -2
    cov = token_covariance(logprobs, advantages, torch.ones(1, 3, dtype=torch.bool))
    assert cov.tolist() == [[2.0, 1.0, 6.0]]


def test_double_loop_of_equation_10() -> None:
    logprobs, advantages, mask = ragged()
    cov = token_covariance(logprobs, advantages, mask)
    scored = [(b, t) for b in range(6) for t in range(9) if mask[b, t]]
    mean_logprob = statistics.fmean(float(logprobs[i]) for i in scored)
    mean_advantage = statistics.fmean(float(advantages[i]) for i in scored)
    for b in range(6):
        for t in range(9):
            expected = (float(logprobs[b, t]) - mean_logprob) * (
                float(advantages[b, t]) - mean_advantage
            )
            expected = expected if mask[b, t] else 0.0
            assert float(cov[b, t]) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_mean_is_the_covariance_of_torch() -> None:
    logprobs, advantages, mask = ragged()
    pair = torch.stack([logprobs[mask], advantages[mask]]).double()
    expected = torch.cov(pair, correction=0)[0, 1]
    mean = token_covariance(logprobs, advantages, mask)[mask].double().mean()
    torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-8)  # cov_BT is float32


def test_state_centring_against_a_loop() -> None:
    logprobs, advantages, mask = ragged()
    entropy = torch.rand(6, 9)
    cov = token_covariance(logprobs, advantages, mask, "state", entropy)
    mean_advantage = advantages[mask].double().mean()
    expected = (logprobs + entropy).double() * (advantages.double() - mean_advantage)
    torch.testing.assert_close(cov[mask].double(), expected[mask], rtol=1e-6, atol=1e-7)


def test_state_centring_needs_entropies_and_a_known_name() -> None:
    logprobs, advantages, mask = ragged()
    with pytest.raises(ValueError, match="needs entropy_BT"):
        token_covariance(logprobs, advantages, mask, "state")
    with pytest.raises(ValueError, match="center='median'"):
        token_covariance(logprobs, advantages, mask, "median")  # type: ignore[arg-type]


def test_detached_float32_and_shift_invariant() -> None:
    logprobs, advantages, mask = ragged()
    cov = token_covariance(logprobs.requires_grad_(), advantages, mask)
    assert cov.dtype == torch.float32 and not cov.requires_grad
    shifted = token_covariance(logprobs.double() + 3.0, advantages.double() - 7.0, mask)
    torch.testing.assert_close(shifted, cov, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("filler", [float("nan"), float("inf")])
def test_padding_order_and_split_change_no_bit(filler: float) -> None:
    logprobs, advantages, mask = ragged(rows=32, columns=33)
    cov = token_covariance(logprobs, advantages, mask)
    order = torch.randperm(32)
    padded = [torch.full((32, 40), filler) for _ in range(2)]
    wide = torch.zeros(32, 40, dtype=torch.bool)
    padded[0][:, :33], padded[1][:, :33], wide[:, :33] = logprobs, advantages, mask
    padded[0][~wide], padded[1][~wide] = filler, filler
    other = token_covariance(padded[0][order], padded[1][order], wide[order])
    assert torch.equal(other[:, :33], cov[order])
    assert torch.equal(other[:, 33:], torch.zeros(32, 7))


def test_large_offset_shows_no_order_of_summation() -> None:
    # ulp(1e9) is 1e-7: means summed in another order differ by more than float32 resolves in Cov
    logprobs = 1e9 + torch.randn(64, 16, dtype=torch.float64)
    advantages, mask = torch.randn(64, 16), torch.rand(64, 16) < 0.8
    cov = token_covariance(logprobs, advantages, mask)
    for _ in range(5):
        order = torch.randperm(64)
        shuffled = token_covariance(logprobs[order], advantages[order], mask[order])
        assert torch.equal(shuffled, cov[order])


def test_constant_advantages_and_empty_masks_give_zero() -> None:
    logprobs, _, mask = ragged()
    assert not token_covariance(logprobs, torch.full((6, 9), 0.3), mask).any()
    assert not token_covariance(logprobs, logprobs, torch.zeros_like(mask)).any()


@settings(max_examples=50)
@given(st.floats(0, 1), st.integers(0, 1000), st.sampled_from(["floor", "official"]))
def test_top_selection_has_the_quota_and_the_highest(fraction: float, seed: int, rule: str) -> None:
    logprobs, advantages, mask = ragged(seed=seed)
    cov = token_covariance(logprobs, advantages, mask)
    selected = top_fraction_mask(cov, mask, fraction, quota=rule)  # type: ignore[arg-type]
    count = quota_count(fraction, int(mask.sum()), rule)  # type: ignore[arg-type]
    assert int(selected.sum()) == count
    assert not (selected & ~mask).any()
    if 0 < count < int(mask.sum()):
        assert cov[selected].min() >= cov[mask & ~selected].max()


def test_ties_are_broken_by_the_uniforms_and_else_by_position() -> None:
    cov, mask = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool)
    uniforms = torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.8, 0.3]], dtype=torch.float64)
    by_uniform = top_fraction_mask(cov, mask, 0.5, uniforms_BT=uniforms)  # 3 of 6
    assert by_uniform.tolist() == [[False, True, False], [True, False, True]]
    assert top_fraction_mask(cov, mask, 0.5).tolist() == [[True] * 3, [False] * 3]
    cov[0, 2] = 2.0  # the covariance rules before the uniforms
    assert top_fraction_mask(cov, mask, 1 / 3, uniforms_BT=uniforms).tolist() == [
        [False, True, True],
        [False, False, False],
    ]


def test_band_is_inclusive_and_masked() -> None:
    cov = torch.tensor([[0.5, 1.0, 3.0, 5.0, 5.5, 2.0]])
    mask = torch.tensor([[True, True, True, True, True, False]])
    assert band_mask(cov, mask, (1.0, 5.0)).tolist() == [[False, True, True, True, False, False]]


def test_quantile_band() -> None:
    cov = torch.arange(11.0)[None]  # quantiles 0, 0.1, ..., 1 are the values themselves
    mask = torch.ones(1, 11, dtype=torch.bool)
    band = band_mask(cov, mask, (0.8, 1.0), "quantile")
    assert cov[band].tolist() == [8.0, 9.0, 10.0]
    with pytest.raises(ValueError, match="bounds_kind='sigma'"):
        band_mask(cov, mask, (0.8, 1.0), "sigma")  # type: ignore[arg-type]


def test_random_selection_takes_the_smallest_uniforms_of_the_candidates() -> None:
    cov = torch.tensor([[2.0, 2.0, 2.0, 0.0], [2.0, 9.0, 2.0, 2.0]])
    mask = torch.ones(2, 4, dtype=torch.bool)
    uniforms = torch.tensor([[0.3, 0.6, 0.1, 0.0], [0.2, 0.0, 0.7, 0.05]], dtype=torch.float64)
    excluded = torch.zeros_like(mask)
    excluded[1, 3] = True
    # 0.375 * 8 = 3 of the five candidates (0,0) (0,1) (0,2) (1,0) (1,2): uniforms .1 .2 .3
    selected = random_band_mask(cov, mask, 0.375, excluded_BT=excluded, uniforms_BT=uniforms)
    assert selected.tolist() == [[True, False, True, False], [True, False, False, False]]
    everything = random_band_mask(cov, mask, 1.0, excluded_BT=excluded, uniforms_BT=uniforms)
    assert int(everything.sum()) == 5  # never more than there are candidates


def test_random_selection_alone_is_seeded_and_ignores_the_global_generator() -> None:
    cov, mask = torch.full((8, 16), 2.0), torch.ones(8, 16, dtype=torch.bool)
    first = random_band_mask(cov, mask, 0.25, seed=3)
    torch.manual_seed(123)
    assert torch.equal(first, random_band_mask(cov, mask, 0.25, seed=3))
    assert not torch.equal(first, random_band_mask(cov, mask, 0.25, seed=4))
    assert int(first.sum()) == 32
    wide_cov, wide_mask = torch.zeros(8, 20), torch.zeros(8, 20, dtype=torch.bool)
    wide_cov[:, :16], wide_mask[:, :16] = cov, mask
    assert torch.equal(random_band_mask(wide_cov, wide_mask, 0.25, seed=3)[:, :16], first)


def test_random_selection_is_uniform() -> None:
    cov, mask = torch.full((1, 10), 2.0), torch.ones(1, 10, dtype=torch.bool)
    counts = sum(random_band_mask(cov, mask, 0.3, seed=s).double() for s in range(2000))[0]
    # binomial(2000, 0.3): mean 600, standard deviation 20.5; five deviations over ten cells
    assert counts.sub(600).abs().max() < 5 * math.sqrt(2000 * 0.3 * 0.7)


def test_tail_means_by_sorting() -> None:
    cov = torch.tensor([[4.0, 1.0, 3.0, 99.0], [2.0, 0.0, -1.0, 5.0]])
    mask = cov != 99.0
    # seven tokens sorted: 5 4 3 2 1 0 -1; floor(0.3 * 7) = 2, floor(0.5 * 7) = 3
    means = tail_means(cov, mask, (0.3, 0.5, 1.0))
    assert means.tolist() == pytest.approx([4.5, 4.0, 2.0])
    assert math.isnan(tail_means(cov, mask, (0.01,)).item())
