"""What one rollout says of the entropy of the next: Theorems 1 and 2 (arXiv 2505.22617)."""

from collections.abc import Callable

import torch
from torch import Tensor

from lit_entropy.callbacks.base import own_share
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional import sampled_dynamics
from lit_entropy.functional.masked import masked_mean
from lit_entropy.step.rollout import Rollout
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


def rollout_predictions(rollout: Rollout, ranks: Ranks) -> dict[str, float]:
    """What a rollout predicts for the entropy of the next one, equal on every rank.

    Returns:
        The prediction (nats) of each theorem that the tokens of the objective allow.
    """
    experience, own = rollout.experience, own_share(rollout, ranks)
    sums: dict[str, Mean] = {}
    for index, (name, token_level) in enumerate(TOKEN_LEVEL.items()):
        sums[name] = Mean(torch.zeros(()), torch.zeros(()))
        if ranks.is_own(index) and experience.mask_BT.any():
            value = token_level(
                experience.old_logprobs_BT, experience.advantages_BT, experience.mask_BT
            )
            sums[name] = Mean(value, torch.ones(()))
    for name, bandit_level in BANDIT_LEVEL.items():
        sums[name] = _prompt_mean(bandit_level, own, rollout.group_size)
    return reduce_means(sums, ranks.device)


def _prompt_mean(
    bandit_level: Callable[[Tensor, Tensor, Tensor, int], Tensor],
    own: Experience,
    group_size: int,
) -> Mean:
    """Total and number of a bandit prediction over this rank's prompts in the objective."""
    trained_P = own.mask_BT.any(1).reshape(-1, group_size).all(1)
    # advantages of a response's tokens are equal unless the reward is given by step: their mean
    advantages_B = masked_mean(own.advantages_BT, own.mask_BT, -1, dtype=torch.float64)
    value_P = bandit_level(own.old_logprobs_BT, advantages_B, own.mask_BT, group_size)
    return Mean(value_P[trained_P].sum(), trained_P.sum())
