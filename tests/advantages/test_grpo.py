"""GRPO's advantage (eq. 3)."""

from __future__ import annotations

import statistics

import pytest
import torch

from lit_entropy.advantages import GRPO


def test_hand_values() -> None:
    # rewards 1 0 0 0: mean 1/4, unbiased std 1/2
    advantages = GRPO(epsilon=0.0)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    assert advantages.tolist() == [[1.5, -0.5, -0.5, -0.5]]


def test_loop_and_dtype() -> None:
    rewards = torch.rand(6, 8)
    advantages = GRPO()(rewards)
    assert advantages.dtype == torch.float32
    for row, result in zip(rewards.tolist(), advantages.tolist(), strict=True):
        mean, std = statistics.fmean(row), statistics.stdev(row)
        assert result == pytest.approx([(r - mean) / (std + 1e-6) for r in row], rel=1e-5)


def test_affine_rewards_change_nothing() -> None:
    rewards = torch.rand(6, 8)
    torch.testing.assert_close(GRPO(0.0)(3.0 * rewards + 5.0), GRPO(0.0)(rewards))


def test_equal_rewards_carry_no_signal() -> None:
    assert torch.equal(GRPO()(torch.full((2, 5), 0.1)), torch.zeros(2, 5))


def test_bad_arguments() -> None:
    assert GRPO.min_group_size == 2
    with pytest.raises(ValueError, match=r"epsilon=-1\.0"):
        GRPO(epsilon=-1.0)
    with pytest.raises(ValueError, match="group_size=1"):
        GRPO()(torch.ones(3, 1))
