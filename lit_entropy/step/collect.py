"""From prompts to scored groups: rollout, reward and group filter, on any number of ranks.

Ranks sample disjoint groups and exchange them, so that every rank holds the whole rollout and
minibatches, selections and metrics do not depend on the number of ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_entropy.errors import ensure_finite
from lit_entropy.functional.padding import left_pad, pad_left, pad_right
from lit_entropy.step.minibatch import all_ranks
from lit_entropy.tasks.rewards import answer_codes, require_checked, reward_responses
from lit_entropy.types import Completions, Experience, Problem

if TYPE_CHECKING:
    from lit_entropy.data import PromptDataModule
    from lit_entropy.module import EntropyModule


def occurrence_offsets(problems: Sequence[Problem], group_size: int) -> list[int]:
    """First sample id of each prompt's group, so that a repeated prompt gets fresh samples."""
    seen: Counter[int] = Counter()
    offsets = []
    for problem in problems:
        offsets.append(seen[problem.id] * group_size)
        seen[problem.id] += 1
    return offsets


def has_signal(rewards_PG: Tensor) -> Tensor:
    """Bool [P]: groups whose rewards are not all the same."""
    return rewards_PG.amax(dim=1) > rewards_PG.amin(dim=1)


def group_signal(experience: Experience, group_size: int) -> Tensor:
    """Bool [P]: groups that were checked and whose rewards are not all the same."""
    assert experience.rewards_B is not None
    rewards_PG = experience.rewards_B.view(-1, group_size)
    return has_signal(rewards_PG) & experience.checked_groups(group_size)


def sample_groups(module: EntropyModule, data: PromptDataModule, attempt: int) -> Experience:
    """Sample and score one draw of P prompts, each rank its share; returns all P * G rows."""
    problems = data.draw(module.rl_step, attempt)
    offsets = occurrence_offsets(problems, data.group_size)
    offsets = [attempt * data.prompts_per_step * data.group_size + o for o in offsets]
    rank, world = module.trainer.global_rank, module.trainer.world_size
    share = range(rank * len(problems) // world, (rank + 1) * len(problems) // world)
    rows = [problems[index] for index in share for _ in range(data.group_size)]
    samples = [offsets[index] + g for index in share for g in range(data.group_size)]
    encoded = data.encode(problems[share.start : share.stop], module.policy.tokenizer)
    prompts = [tokens for tokens in encoded for _ in range(data.group_size)]
    prompt_ids_B = torch.tensor([problem.id for problem in rows])
    with module.stopwatch("rollout"), module.forward_context():
        completions = module.rollout.generate(
            module.policy,
            prompts,
            prompt_ids_B,
            torch.tensor(samples),
            max_new_tokens=module.max_new_tokens,
            temperature=module.temperature,
            keys=(data.seed, "rollout", module.rl_step, attempt),
        )
    ensure_finite("log-probs of the rollout", completions.logprobs_BT, module.rl_step)
    with module.stopwatch("reward"):
        texts = module.policy.decode(completions.tokens_BT, completions.mask_BT)
        rewards, correct = reward_responses(data.task, rows, texts, module.rl_step)
    experience = _experience(module, prompts, completions, rewards, correct)
    experience.prompt_ids_B = prompt_ids_B
    experience.sample_ids_B = torch.tensor(samples)
    experience.difficulty_B = torch.tensor([problem.difficulty for problem in rows])
    experience.answers_B = answer_codes(data.task, texts)
    experience = gather(module, experience.to(module.device))
    require_checked(experience, data.task, module.rl_step)
    return experience


def _experience(
    module: EntropyModule,
    prompts: list[list[int]],
    completions: Completions,
    rewards: list[float | None],
    correct: list[bool],
) -> Experience:
    prompt_tokens_BS, prompt_mask_BS = left_pad(prompts, module.policy.pad_token_id)
    return Experience(
        mask_BT=completions.mask_BT,
        old_logprobs_BT=completions.logprobs_BT,
        advantages_BT=torch.zeros_like(completions.logprobs_BT),
        response_mask_BT=completions.mask_BT,
        tokens_BT=completions.tokens_BT,
        prompt_tokens_BS=prompt_tokens_BS,
        prompt_mask_BS=prompt_mask_BS,
        entropies_BT=completions.entropies_BT,
        sampler_logprobs_BT=completions.logprobs_BT,
        # NaN, so that a reader of a reward that does not exist is found out
        rewards_B=torch.tensor([float("nan") if reward is None else reward for reward in rewards]),
        correct_B=torch.tensor(correct),
        checked_B=torch.tensor([reward is not None for reward in rewards]),
        truncated_B=completions.truncated_B,
    )


def widen(experience: Experience, prompt_width: int, width: int) -> Experience:
    """Pad prompts on the left and responses on the right; padding is masked wherever it is read."""

    def pad(name: str, tensor: Tensor) -> Tensor:
        if name.endswith("_BT"):
            return pad_right(tensor, width)
        return pad_left(tensor, prompt_width) if name.endswith("_BS") else tensor

    tensors = {key: pad(key, value) for key, value in experience.tensors().items()}
    return replace(experience, **tensors)  # type: ignore[arg-type]


def concatenate(parts: list[Experience]) -> Experience:
    """Join experiences row after row."""
    if len(parts) == 1:
        return parts[0]
    prompt_width = max(_widths(part)[0] for part in parts)
    width = max(_widths(part)[1] for part in parts)
    columns = [widen(part, prompt_width, width).tensors() for part in parts]
    joined = {key: torch.cat([column[key] for column in columns]) for key in columns[0]}
    return Experience(**joined)  # type: ignore[arg-type]


def gather(module: EntropyModule, experience: Experience) -> Experience:
    """All ranks' rows in rank order, on every rank."""
    if module.trainer.world_size == 1:
        return experience
    widths = all_ranks(module, torch.tensor(_widths(experience), device=module.device))
    prompt_width, width = (int(value) for value in widths.amax(dim=0))
    tensors = widen(experience, prompt_width, width).tensors()
    gathered = {key: all_ranks(module, value).flatten(0, 1) for key, value in tensors.items()}
    return Experience(**gathered)  # type: ignore[arg-type]


def _widths(experience: Experience) -> tuple[int, int]:
    assert experience.prompt_tokens_BS is not None
    return experience.prompt_tokens_BS.shape[1], experience.mask_BT.shape[1]


def filter_groups(
    experience: Experience, data: PromptDataModule, signal_P: Tensor
) -> tuple[Experience, Tensor, Tensor]:
    """Choose the rows to train on and mask the groups without signal, as ``group_filter`` says.

    A group with a response that could not be checked has no signal, and is masked whatever the
    filter: the mean of its rewards is unknown.

    Returns:
        The experience with its final ``mask_BT``; the int64 rows [P * G] that the minibatches are
        made of, whole groups in the order of their draw, those with signal preferred when some
        were resampled; and bool [groups], the groups whose tokens are scored.
    """
    wanted = data.prompts_per_step
    checked_P = experience.checked_groups(data.group_size)
    signal_P = signal_P & checked_P
    if len(signal_P) > wanted:
        chosen = torch.argsort((~signal_P).long(), stable=True)[:wanted].sort().values
    else:
        chosen = torch.arange(len(signal_P), device=signal_P.device)
    offsets = torch.arange(data.group_size, device=signal_P.device)
    rows = (chosen[:, None] * data.group_size + offsets).flatten()
    scored_P = checked_P
    if data.group_filter != "none":
        scored_P = torch.zeros_like(signal_P)
        scored_P[chosen] = signal_P[chosen]
    mask_BT = experience.mask_BT & scored_P.repeat_interleave(data.group_size)[:, None]
    return replace(experience, mask_BT=mask_BT), rows.cpu(), scored_P
