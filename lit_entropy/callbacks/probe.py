"""States of the policy and its distributions on them: fixed states, and a rollout's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lit_entropy.callbacks.base import required
from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.functional.dynamics import entropy
from lit_entropy.functional.padding import left_pad
from lit_entropy.functional.rng import uniforms
from lit_entropy.types import Experience

#: Logits of one forward pass, and of one piece of float64 arithmetic (64 MiB and 32 MiB).
PASS_LOGITS, PIECE_LOGITS = 2**24, 2**22
#: The tensors that make a state: a prefix of prompt and response.
STATE_FIELDS = ("tokens_BT", "response_mask_BT", "prompt_tokens_BS", "prompt_mask_BS")


class Snapshot(NamedTuple):
    """The policy on a set of states.

    Attributes:
        entropies_M: float64, exact entropy at the training temperature of every state, nats.
        logits_NV: logits over the temperature of the kept states, in the policy's float type.
    """

    entropies_M: Tensor
    logits_NV: Tensor


def states(
    tokens_BT: Tensor, mask_BT: Tensor, prompt_tokens_BS: Tensor, prompt_mask_BS: Tensor
) -> Experience:
    """Rows that a policy can be asked for the logits of, nothing of them scored by a loss."""
    zeros_BT = torch.zeros(mask_BT.shape, device=mask_BT.device)
    return Experience(
        mask_BT=mask_BT,
        old_logprobs_BT=zeros_BT,
        advantages_BT=zeros_BT,
        response_mask_BT=mask_BT,
        tokens_BT=tokens_BT,
        prompt_tokens_BS=prompt_tokens_BS,
        prompt_mask_BS=prompt_mask_BS,
    )


def sample_states(
    module: LightningModule,
    prompts: list[list[int]],
    prompt_ids_B: Tensor,
    sample_ids_B: Tensor,
    keys: tuple[int | str, ...],
) -> Experience:
    """Responses of the current policy with counter-based draws, the same on every rank.

    Args:
        module: gives policy, engine, temperature and the limit of new tokens.
        prompts: token ids of each row's prompt.
        prompt_ids_B: int64 ``Problem.id``.
        sample_ids_B: int64 number of the sample within its prompt.
        keys: seed, purpose and step that key the draws.
    """
    this: Any = module
    with this.forward_context():
        completions = this.rollout.generate(
            this.policy,
            prompts,
            prompt_ids_B.cpu(),
            sample_ids_B.cpu(),
            max_new_tokens=this.max_new_tokens,
            temperature=this.temperature,
            keys=keys,
        )
    prompt_tokens_BS, prompt_mask_BS = left_pad(prompts, this.policy.pad_token_id)
    sampled = states(completions.tokens_BT, completions.mask_BT, prompt_tokens_BS, prompt_mask_BS)
    return sampled.to(module.device)


def probe_states(trainer: Any, module: LightningModule, count: int) -> Experience:
    """One response to each of ``count`` held-out problems, spread evenly over their order."""
    data, policy = trainer.datamodule, cast(Any, module).policy
    problems: Sequence[Any] = data.validation_problems
    chosen = [problems[index * len(problems) // count] for index in range(count)]
    return sample_states(
        module,
        data.encode(chosen, policy.tokenizer),
        torch.tensor([problem.id for problem in chosen]),
        torch.zeros(count, dtype=torch.int64),
        (data.seed, "probe"),
    )


def check_probe(trainer: Any, name: str, count: int) -> None:
    """Raise ValueError where the task has fewer held-out problems than the probe takes."""
    available = len(trainer.datamodule.validation_problems)
    if count > available:
        raise ValueError(
            f"{name}.probe_prompts={count} exceeds the {available} held-out problems: lower it, "
            "or raise the validation size of data.task"
        )


def kept_states(experience: Experience, maximum: int, seed: int) -> Tensor:
    """Bool [B, T]: all response tokens, or ``maximum`` of them drawn without replacement.

    The draw is keyed by (seed, row, token index), hence the same on every rank and device.
    """
    mask_BT = required(experience, "response_mask_BT")
    row_N, token_N = mask_BT.cpu().nonzero(as_tuple=True)
    if len(row_N) <= maximum:
        return mask_BT
    chosen = uniforms(seed, "kept states", row_N, token_N).argsort(stable=True)[:maximum]
    kept_BT = torch.zeros(mask_BT.shape, dtype=torch.bool)
    kept_BT[row_N[chosen], token_N[chosen]] = True
    return kept_BT.to(mask_BT.device)


@torch.no_grad()
def snapshot(
    module: LightningModule,
    experience: Experience,
    kept_BT: Tensor | None = None,
    policy: Any = None,
) -> Snapshot:
    """Entropies of every state of ``experience`` and the logits of the kept ones, row-major.

    The policy is the module's unless another one is given. Rows pass through it in blocks of at
    most ``PASS_LOGITS`` logits (one row at least).
    """
    this: Any = module
    policy = this.policy if policy is None else policy
    mask_BT = required(experience, "response_mask_BT")
    kept_BT = torch.zeros_like(mask_BT) if kept_BT is None else kept_BT
    block = max(1, PASS_LOGITS // (mask_BT.shape[1] * policy.vocab_size))
    entropies, logits = [], []
    for rows in torch.arange(len(mask_BT), device=mask_BT.device).split(block):
        part = experience.rows(rows).trimmed()
        with this.forward_context(), whole_parameters(policy):
            logits_BTV = policy.logits(part) / this.temperature
        part_mask_BT = required(part, "response_mask_BT")
        entropies += [entropy(piece.double()) for piece in pieces(logits_BTV[part_mask_BT])]
        logits.append(logits_BTV[kept_BT[rows][:, : part_mask_BT.shape[1]]])
    return Snapshot(torch.cat(entropies), torch.cat(logits))


def pieces(values_NV: Tensor) -> Sequence[Tensor]:
    """The rows in blocks of at most ``PIECE_LOGITS`` numbers (one row at least)."""
    return values_NV.split(max(1, PIECE_LOGITS // values_NV.shape[1]))


def to_state(experience: Experience) -> dict[str, Tensor]:
    """The states as plain CPU tensors for a checkpoint."""
    return {name: required(experience, name).cpu().clone() for name in STATE_FIELDS}


def from_state(state: dict[str, Tensor], device: torch.device | str) -> Experience:
    """The inverse of :func:`to_state`."""
    return states(*(state[name].clone() for name in STATE_FIELDS)).to(device)
