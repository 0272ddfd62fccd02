"""Dr. GRPO's advantage."""

from __future__ import annotations

import torch

from lit_entropy.advantages import DrGRPO


def test_hand_values_keep_the_scale_of_the_reward() -> None:
    advantages = DrGRPO()(torch.tensor([[4.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]]))
    assert advantages.tolist() == [[3.0, -1.0, -1.0, -1.0], [0.0, 0.0, 0.0, 0.0]]
    assert advantages.dtype == torch.float32
    assert DrGRPO.min_group_size == 2
