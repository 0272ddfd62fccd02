"""Entropies of a rollout whose engine does not know whole distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_entropy.functional.padding import left_pad
from lit_entropy.types import Completions, Sequences

if TYPE_CHECKING:
    from lit_entropy.evaluation.module import EvaluatedModule

#: Rows in a forward pass without gradients; a number that all ranks share, as a sharded policy's
#: passes are collectives, and few, as rows of a large model may have 10,000 tokens.
ROWS = 8


@torch.no_grad()
def known_entropies(
    module: EvaluatedModule,
    prompts: list[list[int]],
    completions: Completions,
    temperature: float,
) -> Tensor:
    """The engine's exact entropies, or else the policy's of the same tokens.

    Args:
        module: gives policy and precision.
        prompts: token ids of each row's prompt.
        completions: what the engine sampled, on the policy's device.
        temperature: of the sampling; at 0 the entropies are those of temperature 1.

    Returns:
        float32 [B, T] in nats, 0 on padding.
    """
    if completions.entropies_BT is not None:
        return completions.entropies_BT
    entropies_BT = torch.zeros_like(completions.logprobs_BT)
    device = entropies_BT.device
    for rows in torch.arange(len(prompts), device=device).split(ROWS):
        own = [prompts[row] for row in rows.tolist()]
        prompt_tokens_BS, prompt_mask_BS = left_pad(own, module.policy.pad_token_id, device)
        batch = Sequences(
            completions.tokens_BT[rows], completions.mask_BT[rows], prompt_tokens_BS, prompt_mask_BS
        )
        with module.forward_context():
            entropies_BT[rows] = module.policy(batch, temperature or 1.0).entropy_BT
    return entropies_BT
