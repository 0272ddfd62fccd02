"""An engine whose log-probs are off, for importance weights other than 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from lit_entropy.functional.rng import uniforms
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Completions


class OffSampler(LocalEngine):
    """The local engine with log-probs that are off by up to a nat, by the name of the token."""

    runs_policy = False

    def generate(self, *arguments: Any, **options: Any) -> Completions:
        result = super().generate(*arguments, **options)
        prompts_B1, samples_B1 = (ids[:, None] for ids in arguments[2:4])
        off_BT = uniforms("off", prompts_B1, samples_B1, torch.arange(result.mask_BT.shape[1]))
        return replace(result, logprobs_BT=result.logprobs_BT - off_BT.float() * result.mask_BT)
