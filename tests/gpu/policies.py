"""Policies and rollouts of the GPU check: shipped bases, and published shapes of random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from gpu.sizes import Size
from torch import Tensor
from transformers import AutoModelForCausalLM

from lit_entropy.policy.dry_run import is_published, published_config
from lit_entropy.policy.loading import dry_run
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.tasks import ChainArithmetic
from lit_entropy.types import LossBatch, Sequences

CPU = torch.device("cpu")
DType = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Sampled:
    """A rollout with what a loss reads; advantages are drawn, not earned.

    Attributes:
        sequences: prompts and responses.
        batch: log-probs of the sampler, advantages of both signs, and the ids of the rows.
    """

    sequences: Sequences
    batch: LossBatch

    def on(self, device: torch.device) -> Sampled:
        """The same on ``device``."""
        return Sampled(self.sequences.to(device), self.batch.to(device))


def policy_on(device: torch.device, model: str, dtype: DType = "float32", **more: Any) -> Policy:
    """A policy in training mode; weights of a published shape are random, the same every time."""
    if not is_published(model):
        return Policy(model, dtype=dtype, **more).to(device)
    with dry_run():
        policy = Policy(model, dtype=dtype, **more)
    torch.manual_seed(0)
    with device:  # weights are drawn where they stay
        policy.model = AutoModelForCausalLM.from_config(
            published_config(model), dtype=getattr(torch, dtype)
        )
    return policy.train()


def prompts_of(size: Size, policy: Policy) -> list[list[int]]:
    """Encoded held-out problems, each repeated for its samples."""
    task = ChainArithmetic(max_length=4, validation_max_length=4, validation_size=size.prompts)
    encoded = [task.encode(problem, policy.tokenizer) for problem in task.validation_problems()]
    return [prompt for prompt in encoded for _ in range(size.samples)]


@lru_cache(maxsize=2)
def sampled(size: Size) -> Sampled:
    """A rollout of the shipped base, sampled on the CPU."""
    policy = Policy(size.base)
    prompts = prompts_of(size, policy)
    rows = torch.arange(len(prompts))
    prompt_ids, sample_ids = rows // size.samples, rows % size.samples
    engine = LocalEngine()
    completions = engine.generate(
        policy, prompts, prompt_ids, sample_ids, max_new_tokens=size.limit, temperature=1.0,
        keys=(0, "gpu", 1),
    )  # fmt: skip
    width = max(map(len, prompts))
    padded = [[policy.pad_token_id] * (width - len(prompt)) + prompt for prompt in prompts]
    real = [[False] * (width - len(prompt)) + [True] * len(prompt) for prompt in prompts]
    sequences = Sequences(
        completions.tokens_BT, completions.mask_BT, torch.tensor(padded), torch.tensor(real)
    )
    advantages_B = torch.randn(len(prompts), generator=torch.Generator().manual_seed(0))
    batch = LossBatch(
        mask_BT=completions.mask_BT,
        old_logprobs_BT=completions.logprobs_BT,
        advantages_BT=advantages_B[:, None] * completions.mask_BT,
        entropies_BT=completions.entropies_BT,
        prompt_ids_B=prompt_ids,
        sample_ids_B=sample_ids,
        minibatch_tokens=int(completions.mask_BT.sum()),
    )
    return Sampled(sequences, batch)


def random_sequences(size: Size, policy: Policy, device: torch.device) -> Sequences:
    """Full rows of random tokens."""
    draw = torch.Generator().manual_seed(0)
    tokens_BL = torch.randint(0, policy.vocab_size, (size.rows, size.tokens), generator=draw)
    tokens_BL, prompt = tokens_BL.to(device), size.tokens // 4
    whole_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
    return Sequences(
        tokens_BL[:, prompt:], whole_BL[:, prompt:], tokens_BL[:, :prompt], whole_BL[:, :prompt]
    )


def objective(policy: Policy, loss: Any, given: Sampled) -> Tensor:
    """The loss of one minibatch as the module aggregates it: a mean over its tokens.

    Tokens that ``given`` has selected stay selected; otherwise the loss selects them.
    """
    output = policy(given.sequences, 1.0)
    batch = given.batch
    if loss.selects_tokens and batch.selected_BT is None:
        batch = replace(batch, selected_BT=loss.select(output, batch))
    token_loss_BT = loss(output, batch).token_loss_BT
    return token_loss_BT[batch.mask_BT].sum() / given.batch.minibatch_tokens


def gradient(policy: Policy) -> Tensor:
    """The gradients of all weights in one vector, float32 on the CPU."""
    parts = [p.grad.flatten().float().cpu() for p in policy.parameters() if p.grad is not None]
    return torch.cat(parts)


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    return float((found - expected).norm() / expected.norm())
