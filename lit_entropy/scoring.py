"""What a rollout is given before the updates: advantages, old and reference log-probs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.errors import ensure_finite
from lit_entropy.minibatch import own_microbatches, rank_rows, score_tokens
from lit_entropy.types import Experience

if TYPE_CHECKING:
    from lit_entropy.data import PromptDataModule
    from lit_entropy.module import EntropyModule


def estimate_advantages(
    estimator: AdvantageEstimator, rewards_PG: Tensor, scored_P: Tensor
) -> Tensor:
    """Advantages [P, G]; batch statistics never mix scored groups with filtered ones.

    Args:
        estimator: the advantage estimator.
        rewards_PG: rewards of every group that was sampled.
        scored_P: bool, the groups that are trained on; the others' advantages are for diagnostics.
    """
    advantages_PG = torch.zeros_like(rewards_PG)
    for part_P in (scored_P, ~scored_P):
        if bool(part_P.any()):
            advantages_PG[part_P] = estimator(rewards_PG[part_P]).to(rewards_PG)
    return advantages_PG


def scoring_parts(
    module: EntropyModule, data: PromptDataModule, rows: Tensor, total: int
) -> list[Tensor]:
    """The rows of this rank's forward passes over a rollout.

    They are the microbatches of the first pass over it, so that its first ratios are exactly 1,
    and then the groups that were replaced.
    """
    count = data.microbatch_count
    parts: list[Tensor] = []
    for minibatch in data.minibatches(rows, module.rl_step, 0):
        parts += own_microbatches(module, minibatch, count)
    replaced = torch.ones(total, dtype=torch.bool)
    replaced[rows] = False
    blocks = replaced.nonzero().squeeze(1).split(data.minibatch_size // count)
    return [part for part in [*parts, *(rank_rows(module, block) for block in blocks)] if len(part)]


def score_rollout(
    module: EntropyModule,
    data: PromptDataModule,
    experience: Experience,
    rows: Tensor,
    scored_P: Tensor,
) -> Experience:
    """The experience with advantages and log-probs from the training path.

    Raises:
        NonFiniteError: an advantage or a log-prob is NaN or infinite.
    """
    assert experience.rewards_B is not None and experience.response_mask_BT is not None
    rewards_PG = experience.rewards_B.view(-1, data.group_size)
    advantages_B = estimate_advantages(module.advantage, rewards_PG, scored_P).flatten()
    ensure_finite("advantages", advantages_B, module.rl_step)
    parts = scoring_parts(module, data, rows, len(experience))
    with module.stopwatch("old_logprobs"):
        output = score_tokens(module, experience, parts, module.policy)
        experience = replace(
            experience,
            old_logprobs_BT=output.logprobs_BT,
            entropies_BT=output.entropy_BT,
            advantages_BT=advantages_B[:, None] * experience.response_mask_BT,
        )
        if module.reference is not None:
            scored = score_tokens(module, experience, parts, module.reference)
            experience = replace(experience, reference_logprobs_BT=scored.logprobs_BT)
    return experience
