"""From prompts to an RL step's rollout: sampling, rewards, group filter, advantages, log-probs.

Ranks sample disjoint groups and exchange them, so that every rank holds the whole rollout and
minibatches, selections and metrics do not depend on the number of ranks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.contracts import named_numbers, refuse
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.errors import ensure_finite
from lit_entropy.functional.advantage import nearly_equal, without_noise
from lit_entropy.functional.masked import masked_sum
from lit_entropy.functional.padding import left_pad, pad_left, pad_right
from lit_entropy.policy import Policy
from lit_entropy.step.context import StepContext
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.scoring import prepare
from lit_entropy.step.statistics import rollout_statistics
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tasks.rewards import answer_codes, require_checked, reward_responses
from lit_entropy.types import Completions, Problem, Samples


@torch.no_grad()
def collect(
    context: StepContext,
    source: PromptSource,
    advantage: AdvantageEstimator,
    reference: Policy | None,
    rl_step: int,
) -> Rollout:
    """Sample, reward and prepare the rollout of an RL step.

    Args:
        context: sizes, sampler and ranks.
        source: the task's problems.
        advantage: the advantage estimator.
        reference: the frozen base policy, where something is compared to it.
        rl_step: number of the RL step, from 1.
    """
    plan = context.plan
    parts, signals = [], []
    for attempt in range(plan.draws):
        parts.append(sample_groups(context, source, rl_step, attempt))
        signals.append(group_signal(parts[-1], plan.group_size))
        if int(torch.cat(signals).sum()) >= plan.prompts_per_step:
            break
    signal_P = torch.cat(signals)
    samples = concatenate(parts)
    rows, trained_P = filter_groups(samples, plan, signal_P)
    experience = prepare(context, advantage, reference, samples, rows, trained_P, rl_step)
    mask_BT = experience.response_mask_BT
    totals_B = masked_sum(experience.entropies_BT, mask_BT, -1, dtype=torch.float64)
    statistics = rollout_statistics(experience, plan.group_size, signal_P)
    own = named_numbers(advantage, "metrics", advantage.metrics())
    own = {key if "/" in key else f"rollout/{key}": value for key, value in own.items()}
    for key in own.keys() & statistics.keys():
        expected, remedy = "a key that the run does not log itself", "choose another, my/reward say"
        refuse(advantage, f"metrics, {key!r}", expected, own[key], remedy)
    return Rollout(
        rl_step=rl_step,
        experience=experience,
        group_size=plan.group_size,
        train_rows=rows,
        entropy=float(totals_B.sum() / mask_BT.sum()),
        tokens=int(mask_BT.sum()),
        metrics=statistics | own,
    )


def occurrence_offsets(problems: Sequence[Problem], group_size: int) -> list[int]:
    """First sample id of each prompt's group, so that a repeated prompt gets fresh samples."""
    seen: Counter[int] = Counter()
    offsets = []
    for problem in problems:
        offsets.append(seen[problem.id] * group_size)
        seen[problem.id] += 1
    return offsets


def has_signal(rewards_PG: Tensor) -> Tensor:
    """Bool [P]: groups whose rewards differ by more than rounding; see :func:`nearly_equal`."""
    return ~nearly_equal(rewards_PG)


def group_signal(samples: Samples, group_size: int) -> Tensor:
    """Bool [P]: groups that were checked and whose rewards differ."""
    rewards_PG = samples.rewards_B.view(-1, group_size)
    return has_signal(rewards_PG) & samples.checked_groups(group_size)


def sample_groups(
    context: StepContext, source: PromptSource, rl_step: int, attempt: int
) -> Samples:
    """Sample and reward one draw of P prompts, each rank its share; returns all P * G rows."""
    plan, sampler, ranks = context.plan, context.sampler, context.ranks
    problems = source.pick(plan.prompts(len(source.problems), rl_step, attempt))
    offsets = occurrence_offsets(problems, plan.group_size)
    offsets = [attempt * plan.sequences + offset for offset in offsets]
    share = ranks.share(len(problems))
    rows = [problems[index] for index in share for _ in range(plan.group_size)]
    encoded = source.encode(problems[share.start : share.stop])
    prompts = [tokens for tokens in encoded for _ in range(plan.group_size)]
    sample_ids_B = torch.tensor([offsets[i] + g for i in share for g in range(plan.group_size)])
    keys = (plan.seed, "rollout", rl_step, attempt)
    with context.stopwatch("rollout"):
        ids_B = torch.tensor([problem.id for problem in rows])
        completions = sampler.sample(prompts, ids_B, sample_ids_B, keys)
    ensure_finite("log-probs of the rollout", completions.logprobs_BT, rl_step)
    with context.stopwatch("reward"):
        texts = sampler.policy.decode(completions.tokens_BT, completions.mask_BT)
        rewards, correct = reward_responses(source.task, rows, texts, rl_step)
    prompt_batch = left_pad(prompts, sampler.policy.pad_token_id)
    samples = _samples(prompt_batch, completions, rewards, correct)
    samples.prompt_ids_B, samples.sample_ids_B = ids_B, sample_ids_B
    samples.difficulty_B = torch.tensor([problem.difficulty for problem in rows])
    samples.answers_B = answer_codes(source.task, texts)
    samples = gather(samples.to(ranks.device), ranks)
    # here, so that every estimator, also one of the user's, is given groups that are equal exactly
    rewards_PG = without_noise(samples.rewards_B.view(-1, plan.group_size))
    samples.rewards_B = rewards_PG.flatten()
    require_checked(samples, source.task, rl_step)
    return samples


def _samples(
    prompts: tuple[Tensor, Tensor],
    completions: Completions,
    rewards: list[float | None],
    correct: list[bool],
) -> Samples:
    unnamed_B = torch.zeros(len(rewards), dtype=torch.int64)
    return Samples(
        tokens_BT=completions.tokens_BT,
        response_mask_BT=completions.sampled_BT,
        environment_BT=completions.environment_BT,
        prompt_tokens_BS=prompts[0],
        prompt_mask_BS=prompts[1],
        sampler_logprobs_BT=completions.logprobs_BT,
        sampler_entropies_BT=completions.entropies_BT,
        # NaN, so that a reader of a reward that does not exist is found out
        rewards_B=torch.tensor([float("nan") if reward is None else reward for reward in rewards]),
        correct_B=torch.tensor(correct),
        checked_B=torch.tensor([reward is not None for reward in rewards]),
        truncated_B=completions.truncated_B,
        prompt_ids_B=unnamed_B,
        sample_ids_B=unnamed_B,
        difficulty_B=unnamed_B,
    )


def widen(samples: Samples, prompt_width: int, width: int) -> Samples:
    """Pad prompts on the left and responses on the right; padding is masked wherever it is read."""

    def pad(name: str, tensor: Tensor) -> Tensor:
        if name.endswith("_BT"):
            return pad_right(tensor, width)
        return pad_left(tensor, prompt_width) if name.endswith("_BS") else tensor

    return samples.map(pad)


def concatenate(parts: list[Samples]) -> Samples:
    """Join samples row after row."""
    if len(parts) == 1:
        return parts[0]
    prompt_width = max(_widths(part)[0] for part in parts)
    width = max(_widths(part)[1] for part in parts)
    columns = [widen(part, prompt_width, width).tensors() for part in parts]
    return replace(
        parts[0], **{key: torch.cat([column[key] for column in columns]) for key in columns[0]}
    )


def gather(samples: Samples, ranks: Ranks) -> Samples:
    """All ranks' rows in rank order, on every rank."""
    if ranks.world_size == 1:
        return samples
    widths = ranks.gather(torch.tensor(_widths(samples), device=ranks.device))
    prompt_width, width = (int(value) for value in widths.amax(dim=0))
    return widen(samples, prompt_width, width).map(
        lambda _, tensor: ranks.gather(tensor).flatten(0, 1)
    )


def _widths(samples: Samples) -> tuple[int, int]:
    return samples.prompt_tokens_BS.shape[1], samples.response_mask_BT.shape[1]


def filter_groups(samples: Samples, plan: StepPlan, signal_P: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the rows to train on and the groups without signal to mask, as ``group_filter`` says.

    A group with a response that could not be checked has no signal, and is masked whatever the
    filter: the mean of its rewards is unknown.

    Returns:
        The int64 rows [P * G] that the minibatches are made of, whole groups in the order of their
        draw, those with signal preferred when some were resampled; and bool [groups], the groups
        whose tokens are in the objective.
    """
    checked_P = samples.checked_groups(plan.group_size)
    signal_P = signal_P & checked_P
    if len(signal_P) > plan.prompts_per_step:
        order = torch.argsort((~signal_P).long(), stable=True)
        chosen = order[: plan.prompts_per_step].sort().values
    else:
        chosen = torch.arange(len(signal_P), device=signal_P.device)
    offsets = torch.arange(plan.group_size, device=signal_P.device)
    rows = (chosen[:, None] * plan.group_size + offsets).flatten()
    trained_P = checked_P
    if plan.group_filter != "none":
        trained_P = torch.zeros_like(signal_P)
        trained_P[chosen] = signal_P[chosen]
    return rows.cpu(), trained_P
