"""The rows of a rollout that are scored again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import experience_of, metrics
from test_module import record

from lit_entropy.step.minibatch import RankPasses
from lit_entropy.types import PolicyOutput


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
