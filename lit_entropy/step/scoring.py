"""What a rollout is given before the updates: advantages, old and reference log-probs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lit_entropy.advantages.base import AdvantageEstimator, ScoredRollout
from lit_entropy.errors import ensure_finite
from lit_entropy.step.minibatch import own_microbatches, rank_rows, score_tokens
from lit_entropy.types import Experience

#: Microbatches in a forward pass without gradients, which needs far less memory than training.
SCORING_BLOCK = 4

if TYPE_CHECKING:
    from lit_entropy.data import PromptDataModule
    from lit_entropy.module import EntropyModule


def estimate_advantages(
    estimator: AdvantageEstimator,
    rewards_PG: Tensor,
    scored_P: Tensor,
    checked_P: Tensor | None = None,
) -> Tensor:
    """Advantages [P, G]; batch statistics never mix scored groups with filtered ones.

    Args:
        estimator: the advantage estimator.
        rewards_PG: rewards of every group that was sampled.
        scored_P: bool, the groups that are trained on; the others' advantages are for diagnostics.
        checked_P: bool, the groups whose rewards are all known; None when all are. The others'
            advantages are 0, and the estimator is not given their rewards.
    """
    advantages_PG = torch.zeros_like(rewards_PG)
    rest_P = ~scored_P if checked_P is None else ~scored_P & checked_P
    for part_P in (scored_P, rest_P):
        if bool(part_P.any()):
            advantages_PG[part_P] = estimator(rewards_PG[part_P]).to(rewards_PG)
    return advantages_PG


def scoring_parts(
    module: EntropyModule, data: PromptDataModule, rows: Tensor, lengths_B: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """The rows of this rank's forward passes over a rollout.

    Args:
        module: gives the ranks and the RL step.
        data: gives the minibatches.
        rows: int64 rows that are trained on.
        lengths_B: response tokens of every row of the experience.

    Returns:
        The very microbatches of the first update, so that its ratios are exactly 1; and the other
        rows, for whose update the policy has moved anyway, in larger batches of like length.
    """
    first = data.minibatches(rows, module.rl_step, 0)[0]
    parts = own_microbatches(module, first, data.microbatch_count)
    rest_B = torch.ones(len(lengths_B), dtype=torch.bool)
    rest_B[first] = False
    rest = rest_B.nonzero().squeeze(1)
    by_length = rest[lengths_B.cpu()[rest].argsort(stable=True)]
    blocks = rank_rows(module, by_length).split(SCORING_BLOCK * len(parts[0]))
    return parts, [block for block in blocks if len(block)]


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
    module.advantage.on_rollout(data.seed, module.rl_step)
    rewards_PG = experience.rewards_B.view(-1, data.group_size)
    checked_P = experience.checked_groups(data.group_size)
    advantages_PG = estimate_advantages(module.advantage, rewards_PG, scored_P, checked_P)
    ensure_finite("advantages", advantages_PG, module.rl_step)
    lengths_B = experience.response_mask_BT.sum(1)
    first, others = scoring_parts(module, data, rows, lengths_B)
    with module.stopwatch("old_logprobs"):
        experience = score_again(module, data, experience, rows, first, others)
        if module.reference is not None:
            scored = score_tokens(module, experience, first + others, module.reference)
            experience = replace(experience, reference_logprobs_BT=scored.logprobs_BT)
    with module.stopwatch("advantage"):
        rollout = scored_rollout(module, data, experience, rows, scored_P, first + others)
        advantages_BT = module.advantage.token_advantages(advantages_PG, rollout)
        checked_B = experience.checked_rows(data.group_size)
        advantages_BT = advantages_BT.masked_fill(~checked_B[:, None], 0.0)
        ensure_finite("advantages", advantages_BT, module.rl_step)
    return replace(experience, advantages_BT=advantages_BT)


def score_again(
    module: EntropyModule,
    data: PromptDataModule,
    experience: Experience,
    rows: Tensor,
    first: list[Tensor],
    others: list[Tensor],
) -> Experience:
    """The experience with old log-probs and entropies from the training path.

    Where the engine ran the policy's own float32 weights, its log-probs are the training path's up
    to rounding (logged as ``policy/sampler_gap``), and only the first minibatch is scored again.

    Args:
        module: gives policy, engine, precision and RL step.
        data: gives the minibatches.
        experience: every row, with the sampler's log-probs.
        rows: int64 rows that are trained on.
        first: this rank's forward passes over the first minibatch.
        others: those over the other rows.
    """
    full_precision = module.trainer.precision_plugin.precision in ("32-true", "64-true")
    reuse = module.rollout.runs_policy and full_precision
    output = score_tokens(module, experience, first if reuse else first + others, module.policy)
    # not told from the log-probs: those of a policy that is sure of every token are 0
    again_B = torch.full_like(experience.mask_BT[:, 0], not reuse)
    again_B[data.minibatches(rows, module.rl_step, 0)[0]] = True
    again_B1 = again_B[:, None]
    entropies_BT = experience.entropies_BT  # of an engine that knows them
    entropies_BT = output.entropy_BT if entropies_BT is None else entropies_BT
    return replace(
        experience,
        old_logprobs_BT=output.logprobs_BT.where(again_B1, experience.old_logprobs_BT),
        entropies_BT=output.entropy_BT.where(again_B1, entropies_BT),
        rescored_B=again_B,
    )


def scored_rollout(
    module: EntropyModule,
    data: PromptDataModule,
    experience: Experience,
    rows: Tensor,
    scored_P: Tensor,
    parts: list[Tensor],
) -> ScoredRollout:
    """The rollout as an estimator of token advantages is given it.

    Args:
        module: gives ranks, precision, temperature and RL step.
        data: gives the minibatches.
        experience: every row, scored.
        rows: int64 rows that are trained on.
        scored_P: bool, the groups that are trained on.
        parts: this rank's forward passes over every row.
    """
    width = max(1, data.minibatch_size // (data.microbatch_count * module.trainer.world_size))

    def score(model: nn.Module, name: str) -> Tensor:
        return score_tokens(module, experience, parts, model, name).logprobs_BT

    return ScoredRollout(
        experience=experience,
        group_size=data.group_size,
        scored_P=scored_P,
        minibatches=data.minibatches(rows, module.rl_step, 0),
        temperature=module.temperature,
        microbatches=lambda rows: [p for p in rank_rows(module, rows).split(width) if len(p)],
        total=lambda tensor: module.trainer.strategy.reduce(tensor, reduce_op="sum"),
        score=score,
        forward_context=module.forward_context,
    )
