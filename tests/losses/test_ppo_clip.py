"""PPO-clip: bounds, reported clip fractions, bad arguments."""

from __future__ import annotations

import math

import pytest
import torch

from lit_entropy.losses import PPOClip
from lit_entropy.types import LossBatch, PolicyOutput


def small_batch() -> tuple[PolicyOutput, LossBatch]:
    log_ratios = torch.tensor([[math.log(1.25), math.log(1.5), math.log(0.5), 0.0, math.log(9.0)]])
    advantages = torch.tensor([[1.0, 1.0, -1.0, -1.0, 1.0]])
    mask = torch.tensor([[True, True, True, True, False]])
    return PolicyOutput(log_ratios - 1.0, torch.zeros(1, 5)), LossBatch(
        mask_BT=mask, old_logprobs_BT=torch.full((1, 5), -1.0), advantages_BT=advantages
    )


@pytest.mark.parametrize(
    ("clip_high", "losses", "high"),
    [(0.2, [-1.2, -1.2, 0.8, 1.0, 0.0], 0.5), (0.28, [-1.25, -1.28, 0.8, 1.0, 0.0], 0.25)],
)
def test_clip_higher_lets_larger_ratios_through(
    clip_high: float, losses: list[float], high: float
) -> None:
    policy, batch = small_batch()
    output = PPOClip(clip_low=0.2, clip_high=clip_high)(policy, batch)
    assert output.token_loss_BT[0].tolist() == pytest.approx(losses)
    assert output.metrics["clip_low"] == 0.25  # one of four scored tokens
    assert output.metrics["clip_high"] == high


def test_defaults_are_the_papers() -> None:
    assert (PPOClip().clip_low, PPOClip().clip_high) == (0.2, 0.2)


def test_bad_bounds() -> None:
    with pytest.raises(ValueError, match=r"clip_low=1\.5 is outside \[0, 1\]"):
        PPOClip(clip_low=1.5)
    with pytest.raises(ValueError, match=r"clip_high=-0\.1 must be"):
        PPOClip(clip_high=-0.1)
