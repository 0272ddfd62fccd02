"""An RL step's parts on samples that a test makes, with a policy that costs nothing."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from lit_entropy.advantages import GRPO
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.step.context import StepContext
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.sampler import Sampler
from lit_entropy.step.scoring import prepare
from lit_entropy.types import Completions, Experience, PolicyOutput, Samples, Sequences


class Sure(nn.Module):
    """A policy that is sure of every token, and whose tokens have no text."""

    pad_token_id = 0

    def forward(self, sequences: Sequences, temperature: float) -> PolicyOutput:
        zeros_BT = torch.zeros(sequences.mask_BT.shape)
        return PolicyOutput(zeros_BT, zeros_BT)

    def decode(self, tokens_BT: Tensor, mask_BT: Tensor) -> list[str]:
        return [""] * len(tokens_BT)


class ThreeTokens(RolloutEngine):
    """Responds with three tokens to everything, and names no true log-probs."""

    runs_policy, gap_tolerance = True, math.inf

    def generate(self, policy: Any, prompts: list[list[int]], *_: Any, **__: Any) -> Completions:
        shape = (len(prompts), 3)
        mask_BT, zeros_BT = torch.ones(shape, dtype=torch.bool), torch.zeros(shape)
        return Completions(mask_BT.long(), mask_BT, zeros_BT, zeros_BT, ~mask_BT[:, 0])


def context(plan: StepPlan, ranks: Ranks | None = None, policy: Any = None) -> StepContext:
    """Sizes and ranks of an RL step, with that policy and engine."""
    return StepContext(plan, Sampler(policy or Sure(), ThreeTokens()), ranks or Ranks())


def samples_of(samples: Samples) -> Samples:
    """The samples alone, of an experience too."""
    return Samples(**{item.name: getattr(samples, item.name) for item in fields(Samples)})


def prepared(samples: Samples, plan: StepPlan, rows: Tensor, trained_P: Tensor) -> Experience:
    """What is trained on at the first RL step, by GRPO without a reference."""
    return prepare(context(plan), GRPO(), None, samples_of(samples), rows, trained_P, 1)
