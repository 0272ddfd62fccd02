"""What a rollout is given before the updates: advantages, old and reference log-probs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_entropy.advantages.base import AdvantageEstimator, TokenContext
from lit_entropy.contracts import checked_advantages, checked_token_advantages
from lit_entropy.errors import ensure_finite
from lit_entropy.policy import Policy
from lit_entropy.step.context import StepContext
from lit_entropy.step.minibatch import RankPasses, own_microbatches
from lit_entropy.step.statistics import sampler_gap
from lit_entropy.types import Experience, Samples

#: Microbatches per forward pass without gradients, which needs far less memory than training.
SCORING_BLOCK = 4


def prepare(
    context: StepContext,
    advantage: AdvantageEstimator,
    reference: Policy | None,
    samples: Samples,
    rows: Tensor,
    trained_P: Tensor,
    rl_step: int,
) -> Experience:
    """The samples with advantages and log-probs from the training path.

    Args:
        context: sizes, sampler and ranks.
        advantage: the advantage estimator.
        reference: the frozen base policy, where something is compared to it.
        samples: every sampled group.
        rows: int64 rows that are trained on.
        trained_P: bool, the groups whose tokens are in the objective.
        rl_step: number of the RL step, from 1.

    Raises:
        NonFiniteError: an advantage or a log-prob is NaN or infinite.
        SamplerGapError: the engine runs the policy and has other log-probs than the training path.
    """
    group_size = context.plan.group_size
    advantage.on_rollout(context.plan.seed, rl_step)
    rewards_PG = samples.rewards_B.view(-1, group_size)
    checked_P = samples.checked_groups(group_size)
    advantages_PG = estimate_advantages(advantage, rewards_PG, trained_P, checked_P)
    ensure_finite("advantages", advantages_PG, rl_step)
    passes = RankPasses(context.sampler, context.ranks, rl_step)
    parts = forward_parts(context, rows, samples.response_mask_BT.sum(1), rl_step)
    mask_BT = samples.response_mask_BT & trained_P.repeat_interleave(group_size)[:, None]
    with context.stopwatch("old_logprobs"):
        experience = with_old_logprobs(context, samples, mask_BT, passes, parts)
        context.sampler.check_gap(float(sampler_gap(experience)), rl_step)
        if reference is not None:
            output = passes.logprobs(reference, samples.sequences, parts.all)
            experience.reference_logprobs_BT = output.logprobs_BT
    with context.stopwatch("advantage"):
        given = token_context(context, experience, rows, trained_P, passes, parts)
        advantages_BT = checked_token_advantages(
            advantage, advantage.token_advantages(advantages_PG, given), mask_BT
        )
        checked_B = samples.checked_rows(group_size)
        experience.advantages_BT = advantages_BT.masked_fill(~checked_B[:, None], 0.0)
        ensure_finite("advantages", experience.advantages_BT, rl_step)
    return experience


def estimate_advantages(
    estimator: AdvantageEstimator,
    rewards_PG: Tensor,
    trained_P: Tensor,
    checked_P: Tensor | None = None,
) -> Tensor:
    """Advantages [P, G]; batch statistics never mix trained groups with filtered ones.

    Args:
        estimator: the advantage estimator.
        rewards_PG: rewards of every group that was sampled.
        trained_P: bool, the groups that are trained on; the others' advantages are for diagnostics.
        checked_P: bool, the groups whose rewards are all known; None when all are. The others'
            advantages are 0, and the estimator is not given their rewards.

    Raises:
        ContractError: the estimator returned something of another type or shape.
    """
    advantages_PG = torch.zeros_like(rewards_PG)
    rest_P = ~trained_P if checked_P is None else ~trained_P & checked_P
    for part_P in (trained_P, rest_P):
        if bool(part_P.any()):
            part_PG = rewards_PG[part_P]
            given_PG = checked_advantages(estimator, estimator(part_PG), part_PG)
            advantages_PG[part_P] = given_PG.to(rewards_PG)
    return advantages_PG


@dataclass(frozen=True)
class ForwardParts:
    """The rows of this rank's forward passes over a rollout.

    Attributes:
        minibatch: int64 rows of the first optimizer minibatch, over all ranks.
        first: the very microbatches of the first update, so that its ratios are exactly 1.
        others: the other rows, for whose update the policy has moved anyway, in larger batches of
            like length.
    """

    minibatch: Tensor
    first: list[Tensor]
    others: list[Tensor]

    @property
    def all(self) -> list[Tensor]:
        """Every row of this rank."""
        return self.first + self.others


def forward_parts(
    context: StepContext, rows: Tensor, lengths_B: Tensor, rl_step: int
) -> ForwardParts:
    """How this rank's rows are cut into forward passes.

    Args:
        context: sizes and ranks.
        rows: int64 rows that are trained on.
        lengths_B: response tokens of every row that was sampled.
        rl_step: number of the RL step, from 1.
    """
    minibatch = context.plan.minibatches(rows, rl_step, 0)[0]
    first = own_microbatches(minibatch, context.plan.microbatches, context.ranks)
    rest_B = torch.ones(len(lengths_B), dtype=torch.bool)
    rest_B[minibatch] = False
    rest = rest_B.nonzero().squeeze(1)
    by_length = rest[lengths_B.cpu()[rest].argsort(stable=True)]
    blocks = context.ranks.own(by_length).split(SCORING_BLOCK * len(first[0]))
    return ForwardParts(minibatch, first, [block for block in blocks if len(block)])


def with_old_logprobs(
    context: StepContext,
    samples: Samples,
    mask_BT: Tensor,
    passes: RankPasses,
    parts: ForwardParts,
) -> Experience:
    """The samples with old log-probs and entropies from the training path; advantages are 0.

    Where the engine ran the policy's own float32 weights, its log-probs are the training path's up
    to rounding (logged as ``policy/sampler_gap``), and only the first minibatch is passed again;
    every row is where the engine reported no entropies.
    """
    sampler, known_BT = context.sampler, samples.sampler_entropies_BT
    reuse = sampler.same_logprobs and known_BT is not None
    again = parts.first if reuse else parts.all
    output = passes.logprobs(sampler.policy, samples.sequences, again)
    # not told from the log-probs: those of a policy that is sure of every token are 0
    rescored_B = torch.full_like(samples.checked_B, not reuse)
    rescored_B[parts.minibatch] = True
    rescored_B1 = rescored_B[:, None]
    entropies_BT = output.entropy_BT
    if known_BT is not None:
        entropies_BT = entropies_BT.where(rescored_B1, known_BT)
    return Experience(
        **samples.tensors(),
        mask_BT=mask_BT,
        old_logprobs_BT=output.logprobs_BT.where(rescored_B1, samples.sampler_logprobs_BT),
        entropies_BT=entropies_BT,
        advantages_BT=torch.zeros_like(output.logprobs_BT),
        rescored_B=rescored_B,
    )


def token_context(
    context: StepContext,
    experience: Experience,
    rows: Tensor,
    trained_P: Tensor,
    passes: RankPasses,
    parts: ForwardParts,
) -> TokenContext:
    """The rollout as an estimator of token advantages is given it."""
    plan, ranks, sampler = context.plan, context.ranks, context.sampler
    width = plan.microbatch_size(ranks.world_size)

    def logprobs(model: nn.Module, name: str) -> Tensor:
        return passes.logprobs(model, experience.sequences, parts.all, name).logprobs_BT

    return TokenContext(
        experience=experience,
        group_size=plan.group_size,
        trained_P=trained_P,
        minibatches=plan.minibatches(rows, passes.rl_step, 0),
        temperature=sampler.temperature,
        microbatches=lambda rows: [part for part in ranks.own(rows).split(width) if len(part)],
        total=ranks.sum,
        logprobs=logprobs,
        forward_context=sampler.context,
    )
