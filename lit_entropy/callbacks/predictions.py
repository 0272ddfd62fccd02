"""What one rollout says of the entropy of the next: Theorems 1 and 2 (arXiv 2505.22617)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_entropy.callbacks.base import group_size_of, is_mine, own_share, required
from lit_entropy.functional import sampled_dynamics
from lit_entropy.functional.masked import masked_mean, masked_sum
from lit_entropy.tracking.means import reduce_means
from lit_entropy.types import Experience, Mean

TOKEN_LEVEL = {
    "theorem1": sampled_dynamics.sampled_theorem1,
    "theorem2": sampled_dynamics.sampled_theorem2,
}
BANDIT_LEVEL = {
    "theorem1_bandit": sampled_dynamics.bandit_theorem1,
    "theorem2_bandit": sampled_dynamics.bandit_theorem2,
}


def measure_rollout(
    trainer: Trainer, module: LightningModule, experience: Experience
) -> dict[str, float]:
    """Entropy of a rollout and what it predicts for the next one, equal on every rank.

    Returns:
        ``entropy`` (nats) and the prediction of each theorem that the scored tokens allow.

    Raises:
        ValueError: no response has a token.
    """
    group_size = group_size_of(module, experience)
    own = own_share(trainer, experience, group_size)
    response_BT = required(own, "response_mask_BT")
    totals_B = masked_sum(required(own, "entropies_BT"), response_BT, -1, dtype=torch.float64)
    sums = {"entropy": Mean(totals_B.sum(), response_BT.sum())}
    for index, (name, token_level) in enumerate(TOKEN_LEVEL.items()):
        sums[name] = Mean(torch.zeros(()), torch.zeros(()))
        if is_mine(trainer, index) and experience.mask_BT.any():
            value = token_level(
                experience.old_logprobs_BT, experience.advantages_BT, experience.mask_BT
            )
            sums[name] = Mean(value, torch.ones(()))
    for name, bandit_level in BANDIT_LEVEL.items():
        sums[name] = _prompt_mean(bandit_level, own, group_size)
    values = reduce_means(sums, module.device)
    if "entropy" not in values:
        raise ValueError("experience.response_mask_BT is empty: no response has a token")
    return values


def _prompt_mean(
    bandit_level: Callable[[Tensor, Tensor, Tensor, int], Tensor],
    own: Experience,
    group_size: int,
) -> Mean:
    """Total and number of a bandit prediction over this rank's prompts with scored responses."""
    scored_P = own.mask_BT.any(1).reshape(-1, group_size).all(1)
    # advantages of a response's tokens are equal unless the reward is given by step: their mean
    advantages_B = masked_mean(own.advantages_BT, own.mask_BT, -1, dtype=torch.float64)
    value_P = bandit_level(own.old_logprobs_BT, advantages_B, own.mask_BT, group_size)
    return Mean(value_P[scored_P].sum(), scored_P.sum())
