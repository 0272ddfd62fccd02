"""Updates and rollouts that are small enough to be measured on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM

from lit_entropy.planning.shape import shape_of
from lit_entropy.planning.workload import Workload
from lit_entropy.policy.dry_run import is_published, published_config
from lit_entropy.policy.loading import dry_run
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Sequences


@dataclass(frozen=True)
class Case:
    """An update, or a rollout, of a model in float32.

    Attributes:
        model: a shipped base or a published model (then with random weights).
        rows: sequences.
        prompt: tokens of each prompt.
        response: tokens of each response.
        checkpointing: whether layers are computed again in the backward pass.
    """

    model: str
    rows: int
    prompt: int
    response: int
    checkpointing: bool = False

    def policy(self) -> Policy:
        """The policy; a published model's weights are random, its tokenizer a stand-in."""
        if not is_published(self.model):
            return Policy(self.model, gradient_checkpointing=self.checkpointing)
        with dry_run():
            policy = Policy(self.model, gradient_checkpointing=self.checkpointing)
        policy.model = AutoModelForCausalLM.from_config(published_config(self.model))
        if self.checkpointing:
            policy.model.gradient_checkpointing_enable({"use_reentrant": False})
        return policy.train()

    def workload(self) -> Workload:
        """The case as the plan sees it."""
        with dry_run():
            policy = Policy(self.model)
        shape = shape_of(policy.model.config)
        return Workload(
            shape=shape,
            trainable=shape.parameters,
            checkpointing=self.checkpointing,
            prompts=self.rows,
            samples=1,
            minibatch=self.rows,
            prompt_tokens=self.prompt,
            max_prompt_tokens=self.prompt,
            response_tokens=self.response,
            max_new_tokens=self.response,
            chunk_tokens=policy.chunk_tokens,
        )

    def batch(self, policy: Policy) -> Sequences:
        """Random tokens at full length."""
        mask_BT = torch.ones(self.rows, self.response, dtype=torch.bool)
        tokens_BL = torch.randint(0, policy.vocab_size, (self.rows, self.prompt + self.response))
        return Sequences(
            tokens_BT=tokens_BL[:, self.prompt :],
            mask_BT=mask_BT,
            prompt_tokens_BS=tokens_BL[:, : self.prompt],
            prompt_mask_BS=torch.ones(self.rows, self.prompt, dtype=torch.bool),
        )


def update(policy: Policy, optimizer: torch.optim.Optimizer, batch: Sequences) -> None:
    """One optimizer update on one microbatch."""
    optimizer.zero_grad()
    policy(batch, 1.0).logprobs_BT.mean().neg().backward()
    optimizer.step()


#: What ``tests/benchmarks/plan_measure.py`` compares.
CASES = [
    Case("chain-s", 128, 20, 80),
    Case("chain-m", 128, 20, 80),
    Case("chain-l", 128, 20, 80),
    Case("chain-l", 128, 20, 80, checkpointing=True),
    Case("smollm2-135m", 2, 64, 128),
    Case("smollm2-135m", 2, 64, 128, checkpointing=True),
]
