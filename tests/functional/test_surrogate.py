"""Ratios and the clipped surrogate against a token-by-token reading of eq. 4."""

from __future__ import annotations

import math

import pytest
import torch

from lit_entropy.functional.surrogate import (
    clipped_surrogate,
    masked_log_ratio,
    plain_surrogate,
    probability_ratio,
)


def test_hand_values_with_unequal_bounds() -> None:
    # Bounds 0.2 / 0.28: allowed ratios 0.8..1.28.
    ratios = [1.5, 1.5, 0.5, 0.5, 1.0]
    advantages = torch.tensor([[2.0, -2.0, 2.0, -2.0, 3.0]])
    mask = torch.ones(1, 5, dtype=torch.bool)
    log_ratio = torch.tensor([[math.log(r) for r in ratios]])
    result = clipped_surrogate(log_ratio, advantages, mask, 0.2, 0.28)
    # -1.28*2 (clipped), +1.5*2, -0.5*2, +0.8*2 (clipped), -3
    assert result.token_loss_BT[0].tolist() == pytest.approx([-2.56, 3.0, -1.0, 1.6, -3.0])
    assert result.clipped_high_BT[0].tolist() == [True, False, False, False, False]
    assert result.clipped_low_BT[0].tolist() == [False, False, False, True, False]


def test_clipped_masks_are_exactly_where_the_gradient_vanishes() -> None:
    log_ratio = torch.randn(40, 10).requires_grad_()
    advantages = torch.randn(40, 10)
    mask = torch.rand(40, 10) < 0.8
    result = clipped_surrogate(log_ratio, advantages, mask, 0.1, 0.3)
    result.token_loss_BT.sum().backward()
    assert log_ratio.grad is not None
    clipped = result.clipped_low_BT | result.clipped_high_BT
    assert torch.equal((log_ratio.grad == 0) & mask, clipped)
    assert int(result.clipped_low_BT.sum()) > 0 and int(result.clipped_high_BT.sum()) > 0


def test_loop_of_equation_4() -> None:
    log_ratio, advantages = 0.5 * torch.randn(6, 7), torch.randn(6, 7)
    mask = torch.rand(6, 7) < 0.7
    loss = clipped_surrogate(log_ratio, advantages, mask, 0.2, 0.2).token_loss_BT
    for b in range(6):
        for t in range(7):
            r, a = math.exp(log_ratio[b, t]), float(advantages[b, t])
            expected = -min(r * a, min(max(r, 0.8), 1.2) * a) if mask[b, t] else 0.0
            assert float(loss[b, t]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_wide_clip_is_the_plain_surrogate() -> None:
    log_ratio, advantages = 0.3 * torch.randn(5, 6), torch.randn(5, 6)
    mask = torch.ones(5, 6, dtype=torch.bool)
    wide = clipped_surrogate(log_ratio, advantages, mask, 1.0, 1e9).token_loss_BT
    assert torch.equal(wide, plain_surrogate(log_ratio, advantages, mask))


def test_padding_of_nan_stays_out() -> None:
    mask = torch.tensor([[True, False]])
    logprobs = torch.tensor([[-1.0, float("nan")]], requires_grad=True)
    old = torch.tensor([[-1.5, float("inf")]])
    log_ratio = masked_log_ratio(logprobs, old, mask)
    assert log_ratio.tolist() == [[0.5, 0.0]]
    advantages = torch.tensor([[1.0, float("nan")]])
    clipped_surrogate(log_ratio, advantages, mask, 0.2, 9.0).token_loss_BT.sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == pytest.approx([-math.exp(0.5), 0.0])


def test_ratio_is_clamped_before_it_overflows() -> None:
    ratio = probability_ratio(torch.tensor([-1000.0, 19.0, 1000.0]))
    # float32 exp is good to a few ulps at e^20
    assert ratio.tolist() == pytest.approx([math.exp(-20), math.exp(19), math.exp(20)], rel=1e-5)
