"""REINFORCE++'s advantage, both variants."""

from __future__ import annotations

import statistics

import pytest
import torch

from lit_entropy.advantages import ReinforcePlusPlus


def test_whitened_over_the_batch() -> None:
    rewards = torch.rand(4, 5)
    flat = rewards.flatten().tolist()
    mean, std = statistics.fmean(flat), (statistics.variance(flat) + 1e-8) ** 0.5
    result = ReinforcePlusPlus()(rewards)
    assert result.flatten().tolist() == pytest.approx([(r - mean) / std for r in flat], rel=1e-5)
    assert result.dtype == torch.float32


def test_a_group_of_equal_rewards_still_has_a_signal_without_the_group_baseline() -> None:
    rewards = torch.tensor([[1.0, 1.0], [0.0, 0.0]])  # mean 1/2, unbiased variance 1/3
    expected = [[0.5 * 3**0.5] * 2, [-0.5 * 3**0.5] * 2]
    torch.testing.assert_close(ReinforcePlusPlus(epsilon=0.0)(rewards), torch.tensor(expected))
    assert not ReinforcePlusPlus(group_baseline=True)(rewards).any()


def test_group_baseline_centres_every_group_and_scales_once() -> None:
    rewards = torch.rand(4, 5)
    result = ReinforcePlusPlus(group_baseline=True)(rewards)
    torch.testing.assert_close(result.mean(1), torch.zeros(4), rtol=0, atol=1e-6)
    assert result.std().item() == pytest.approx(1.0, rel=1e-5)


def test_smallest_group() -> None:
    assert ReinforcePlusPlus().min_group_size == 1
    assert ReinforcePlusPlus(group_baseline=True).min_group_size == 2
    # single samples of two prompts: mean 1/2, unbiased variance 1/2, so +-sqrt(1/2)
    result = ReinforcePlusPlus(epsilon=0.0)(torch.tensor([[1.0], [0.0]]))
    assert result.flatten().tolist() == pytest.approx([0.5**0.5, -(0.5**0.5)])
    with pytest.raises(ValueError, match=r"epsilon=-1\.0"):
        ReinforcePlusPlus(epsilon=-1.0)
