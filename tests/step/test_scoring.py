"""The rows of a rollout that are scored again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared import Sure, context, samples_of
from runs import experience_of, metrics
from test_module import record

from lit_entropy.advantages import GRPO
from lit_entropy.step.minibatch import RankPasses
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.scoring import prepare
from lit_entropy.types import Experience, PolicyOutput, Sequences


@pytest.mark.parametrize("engine", ["lit_entropy.rollouts.LocalEngine", "test_module.Foreign"])
def test_rows_whose_log_probs_are_all_zero_are_rescored_rows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """As of a policy that is sure of every token."""
    original = RankPasses.logprobs

    def sure(*arguments: Any) -> PolicyOutput:
        return PolicyOutput(*(torch.zeros_like(tensor) for tensor in original(*arguments)))

    monkeypatch.setattr(RankPasses, "logprobs", sure)
    _, cli = record(tmp_path, f"--model.engine={engine}", "--model.engine.gap_tolerance=100")
    experience = experience_of(cli)
    again_B = torch.zeros(32, dtype=torch.bool)
    again_B[cli.datamodule.plan.minibatches(torch.arange(32), 1, 0)[0]] = True
    if "Foreign" in engine:
        again_B[:] = True
    assert torch.equal(experience.rescored_B, again_B)
    for tensor_BT in (experience.old_logprobs_BT, experience.entropies_BT):
        assert not tensor_BT[again_B].any() and tensor_BT[~again_B].any() == (not again_B.all())
    gap_BT = experience.sampler_logprobs_BT.abs()[again_B].double()
    expected = gap_BT[experience.response_mask_BT[again_B]].mean()
    assert metrics(tmp_path)["policy/sampler_gap"][-1] == pytest.approx(float(expected), rel=1e-12)


class FiveAlike(Sure):
    """A policy for which five tokens are equally likely everywhere."""

    def forward(self, sequences: Sequences, temperature: float) -> PolicyOutput:
        logprobs_BT, _ = super().forward(sequences, temperature)
        return PolicyOutput(logprobs_BT, torch.full_like(logprobs_BT, math.log(5)))


@pytest.mark.parametrize("known", [None, 0.25])
def test_entropies_that_the_engine_does_not_report_are_the_policys(
    make_experience: Callable[..., Experience], known: float | None
) -> None:
    """As ``RolloutEngine.generate`` promises, of an engine that runs the policy in float32."""
    samples = samples_of(make_experience(4, 2))
    mask_BT = samples.response_mask_BT
    if known is not None:
        samples.sampler_entropies_BT = torch.full(mask_BT.shape, known)
    step, rows = context(StepPlan(4, 2, 2), policy=FiveAlike()), torch.arange(8)
    all_P = torch.ones(4, dtype=torch.bool)
    experience = prepare(step, GRPO(), None, samples, rows, all_P, 1)
    expected_B = torch.full((8,), math.log(5) if known is None else known)
    expected_B[step.plan.minibatches(rows, 1, 0)[0]] = math.log(5)
    for row in range(8):
        found_T = experience.entropies_BT[row][mask_BT[row]]
        assert found_T.tolist() == pytest.approx([float(expected_B[row])] * len(found_T))
    assert int(experience.rescored_B.sum()) == (8 if known is None else 2)
