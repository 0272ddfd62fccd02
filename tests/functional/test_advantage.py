"""Group statistics against the statistics module and hand values."""

from __future__ import annotations

import statistics

import pytest
import torch

from lit_entropy.functional.advantage import (
    batch_whiten,
    group_mean_center,
    group_standardize,
    leave_one_out,
    nearly_equal,
    without_noise,
)

REWARDS = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])


def test_hand_values() -> None:
    assert group_mean_center(REWARDS).tolist() == [
        [0.75, -0.25, -0.25, -0.25],
        [0.5, 0.5, -0.5, -0.5],
    ]
    # unbiased std of (1,0,0,0): sqrt((0.5625 + 3 * 0.0625) / 3) = 0.5
    assert group_standardize(REWARDS, 0.0)[0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5])
    # others of the 1: mean 0; others of a 0: mean 1/3
    assert leave_one_out(REWARDS)[0].tolist() == pytest.approx([1.0, -1 / 3, -1 / 3, -1 / 3])


def test_loops() -> None:
    rewards = torch.randn(5, 7, dtype=torch.float64)
    standardized, left_out = group_standardize(rewards, 1e-6), leave_one_out(rewards)
    for p, row in enumerate(rewards.tolist()):
        mean, std = statistics.fmean(row), statistics.stdev(row)
        for g, reward in enumerate(row):
            others = row[:g] + row[g + 1 :]
            assert standardized[p, g].item() == pytest.approx((reward - mean) / (std + 1e-6))
            assert left_out[p, g].item() == pytest.approx(reward - statistics.fmean(others))


def test_whitening_against_statistics() -> None:
    rewards = torch.randn(4, 6, dtype=torch.float64)
    flat = rewards.flatten().tolist()
    mean, variance = statistics.fmean(flat), statistics.variance(flat)
    expected = [(x - mean) / (variance + 1e-8) ** 0.5 for x in flat]
    assert batch_whiten(rewards).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1.0, 0.0])
def test_equal_rewards_give_exactly_zero(reward: float) -> None:
    # in float64 the mean of seven 0.1 is off by 1.4e-17; float32 rewards are summed exactly
    rewards = torch.full((3, 7), reward, dtype=torch.float64)
    for function in (group_mean_center, group_standardize, leave_one_out, batch_whiten):
        assert torch.equal(function(rewards), torch.zeros(3, 7, dtype=torch.float64))


@pytest.mark.parametrize("size", [1.0, -3.0, 1e-9, 1e6])
@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_rounding_gives_exactly_zero(size: float, epsilon: float) -> None:
    one = torch.tensor(size)
    next_one = torch.nextafter(one, torch.tensor(torch.inf))
    rewards = torch.stack([one, one, next_one, one]).repeat(2, 1)
    zeros = torch.zeros(2, 4, dtype=torch.float64)
    for function in (group_mean_center, leave_one_out):
        assert torch.equal(function(rewards), zeros)
    for function in (group_standardize, batch_whiten):
        assert torch.equal(function(rewards, epsilon), zeros)
    assert nearly_equal(rewards).tolist() == [True, True]
    assert torch.equal(without_noise(rewards), one.expand(2, 4))


def test_what_was_meant_stays() -> None:
    rewards = torch.tensor([[0.5, 0.500002], [1e6, 1e6 + 2], [torch.inf, 1.0], [torch.nan, 1.0]])
    assert not nearly_equal(rewards).any()
    assert torch.equal(without_noise(rewards).nan_to_num(7.0), rewards.nan_to_num(7.0))
    assert group_standardize(rewards[:1], 0.0)[0].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])


def test_too_few_samples() -> None:
    for function in (group_mean_center, group_standardize, leave_one_out):
        with pytest.raises(ValueError, match=r"group_size=1.*2 or more"):
            function(torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"1 response\(s\).*2 or more"):
        batch_whiten(torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        group_mean_center(torch.ones(3))
