"""An RL step's parts on samples that a test makes, with a policy that costs nothing."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from lit_entropy.advantages import GRPO
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.rollouts.local import LocalEngine
from lit_entropy.step.context import StepContext
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.sampler import Sampler
from lit_entropy.step.scoring import prepare
from lit_entropy.types import Experience, PolicyOutput, Samples, Sequences


class Sure(nn.Module):
    """A policy that is sure of every token."""

    def forward(self, sequences: Sequences, temperature: float) -> PolicyOutput:
        zeros_BT = torch.zeros(sequences.mask_BT.shape)
        return PolicyOutput(zeros_BT, zeros_BT)


def context(plan: StepPlan, ranks: Ranks | None = None) -> StepContext:
    """Sizes and ranks of an RL step, with that policy."""
    sure: Any = Sure()
    return StepContext(plan, Sampler(sure, LocalEngine(gap_tolerance=math.inf)), ranks or Ranks())


def samples_of(samples: Samples) -> Samples:
    """The samples alone, of an experience too."""
    return Samples(**{item.name: getattr(samples, item.name) for item in fields(Samples)})


def prepared(samples: Samples, plan: StepPlan, rows: Tensor, trained_P: Tensor) -> Experience:
    """What is trained on at the first RL step, by GRPO without a reference."""
    return prepare(context(plan), GRPO(), None, samples_of(samples), rows, trained_P, 1)
