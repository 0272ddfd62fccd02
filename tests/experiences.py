"""Experiences and rollouts from the few tensors that a test is about."""

from typing import Any

import torch
from torch import Tensor

from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience


def whole_experience(mask_BT: Tensor, **given: Any) -> Experience:
    """An experience with the fields given; the others are zeros, right and checked.

    Args:
        mask_BT: bool, tokens of the objective; every response token unless ``response_mask_BT``
            is given.
        given: fields of ``Experience``.
    """
    B = len(mask_BT)
    zeros_BT = torch.zeros(mask_BT.shape)
    numbers_B = torch.zeros(B, dtype=torch.int64)
    fields: dict[str, Any] = {
        "mask_BT": mask_BT,
        "response_mask_BT": mask_BT,
        "tokens_BT": torch.zeros(mask_BT.shape, dtype=torch.int64),
        "prompt_tokens_BS": torch.zeros(B, 1, dtype=torch.int64),
        "prompt_mask_BS": torch.ones(B, 1, dtype=torch.bool),
        "sampler_logprobs_BT": zeros_BT,
        "old_logprobs_BT": zeros_BT,
        "entropies_BT": zeros_BT,
        "advantages_BT": zeros_BT,
        "rescored_B": torch.ones(B, dtype=torch.bool),
        "rewards_B": torch.zeros(B),
        "correct_B": torch.ones(B, dtype=torch.bool),
        "checked_B": torch.ones(B, dtype=torch.bool),
        "truncated_B": torch.zeros(B, dtype=torch.bool),
        "prompt_ids_B": numbers_B,
        "sample_ids_B": numbers_B,
        "difficulty_B": numbers_B,
    }
    return Experience(**(fields | given))


def rollout_of(experience: Experience, group_size: int, rl_step: int = 1) -> Rollout:
    """The rollout of an experience whose rows are all trained on."""
    mask_BT = experience.response_mask_BT
    entropies_N = experience.entropies_BT[mask_BT].double()
    return Rollout(
        rl_step=rl_step,
        experience=experience,
        group_size=group_size,
        train_rows=torch.arange(len(experience)),
        entropy=float(entropies_N.mean()),
        tokens=len(entropies_N),
        metrics={},
    )
