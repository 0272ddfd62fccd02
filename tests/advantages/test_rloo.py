"""RLOO's advantage."""

from __future__ import annotations

import statistics

import pytest
import torch

from lit_entropy.advantages import RLOO, DrGRPO


def test_loop() -> None:
    rewards = torch.rand(4, 5)
    for row, result in zip(rewards.tolist(), RLOO()(rewards).tolist(), strict=True):
        expected = [r - statistics.fmean(row[:g] + row[g + 1 :]) for g, r in enumerate(row)]
        assert result == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_is_centring_times_g_over_g_minus_one() -> None:
    rewards = torch.rand(4, 5)
    torch.testing.assert_close(RLOO()(rewards), DrGRPO()(rewards) * 5 / 4)


def test_unbiased_baseline_ignores_the_samples_own_reward() -> None:
    low, high = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[9.0, 1.0, 0.0]])
    assert (RLOO()(high) - RLOO()(low))[0, 0].item() == 9.0
