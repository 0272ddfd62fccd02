"""An engine that runs the policy is stopped where its log-probs are not the updates'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from other_models import LONGROPE, save_model
from runs import ALONE, experience_of, fit, metrics
from torch import Tensor, nn

from lit_entropy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.step.sampler import Sampler, SamplerGapError
from lit_entropy.types import Completions, Sequences


class Shifted(LocalEngine):
    """Reports log-probs that are off by a little more at each RL step."""

    def generate(self, *arguments: Any, **options: Any) -> Completions:
        result = super().generate(*arguments, **options)
        keys = options["keys"]
        shift = 6e-4 * int(keys[2]) if keys[1] == "rollout" else 0.0
        return replace(result, logprobs_BT=result.logprobs_BT - shift * result.mask_BT)


def sampler(engine: RolloutEngine, dtype: torch.dtype, full_precision: bool = True) -> Sampler:
    policy: Any = nn.Linear(1, 1, dtype=dtype)
    return Sampler(policy, engine, full_precision=full_precision)


class Elsewhere(LocalEngine):
    runs_policy = False


@pytest.mark.parametrize(
    ("made", "accepted"),
    [
        (sampler(LocalEngine(), torch.float32), 1e-3),
        (sampler(LocalEngine(), torch.float64), 1e-3),
        (sampler(LocalEngine(), torch.bfloat16), 0.1),
        (sampler(LocalEngine(), torch.float32, full_precision=False), 0.1),
        (sampler(LocalEngine(gap_tolerance=0.5), torch.float32), 0.5),
        (sampler(Elsewhere(), torch.float32), 1e9),
    ],
)
def test_tolerances(made: Sampler, accepted: float) -> None:
    made.check_gap(0.99 * accepted, 1)
    made.check_gap(float("nan"), 1)  # nothing was compared
    if made.engine.runs_policy:
        message = rf"LocalEngine: at RL step 4 .* by {1.01 * accepted:.3g} nats .* is {accepted:g}:"
        with pytest.raises(SamplerGapError, match=message):
            made.check_gap(1.01 * accepted, 4)


def test_the_log_probs_of_a_bfloat16_model_are_not_taken_for_the_training_paths(
    tmp_path: Path,
) -> None:
    """Though trainer.precision is 32-true, passes of other shapes differ by their rounding."""
    assert not sampler(LocalEngine(), torch.bfloat16).same_logprobs
    cli = fit(tmp_path, *ALONE, "--trainer.max_epochs=1", "--model.policy.dtype=bfloat16")
    assert cli.model.sampler.full_precision and experience_of(cli).rescored_B.all()
    assert 1e-4 < metrics(tmp_path)["policy/sampler_gap"][-1] < 0.1


def test_a_run_stops_at_the_rl_step_that_is_off(tmp_path: Path) -> None:
    with pytest.raises(SamplerGapError, match=r"Shifted: at RL step 2 .* by 0\.0012 nats"):
        fit(tmp_path, *ALONE, "--model.engine=test_sampler_gap.Shifted")
    assert metrics(tmp_path)["policy/sampler_gap"] == pytest.approx([6e-4], rel=1e-2)


def longrope_gap(policy: Policy) -> float:
    """Of a dialogue of 12 + 12 tokens, that crosses the original context of 16."""
    prompts = [list(range(3, 15)), list(range(4, 16))]
    made = LocalEngine().generate(
        policy, prompts, torch.arange(2), torch.arange(2),
        max_new_tokens=12, temperature=1.0, keys=(0, "rollout", 0),
    )  # fmt: skip
    with torch.no_grad():
        own_BT = policy(Sampler(policy, LocalEngine()).sequences(prompts, made), 1.0).logprobs_BT
    return float((own_BT - made.logprobs_BT)[made.mask_BT].abs().mean())


def test_longrope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at setup and in a forward pass; else the gap would have stopped the run."""
    folder = save_model(tmp_path / "model", "phi3", **LONGROPE)
    with pytest.raises(ValueError, match=r"max_new_tokens=24 leaves no room .* context of 16"):
        fit(tmp_path, *ALONE, f"--model.policy.model={folder}")
    policy = Policy(folder)
    with pytest.raises(ValueError, match=r"a sequence of \d+ tokens exceeds .* context of 16"):
        longrope_gap(policy)
    monkeypatch.setattr(Policy, "context", 64)
    gap = longrope_gap(policy)
    assert gap > 0.05
    with pytest.raises(SamplerGapError, match=r"beside longer ones"):
        Sampler(policy, LocalEngine()).check_gap(gap, 1)


def test_within_the_original_context_longrope_is_invariant(tmp_path: Path) -> None:
    """To length groups, batch mates and packing."""
    folder = save_model(tmp_path, "phi3", **LONGROPE)

    def ones(*shape: int) -> Tensor:
        return torch.ones(shape, dtype=torch.bool)

    mask_BT = torch.arange(8) < torch.tensor([[8], [3], [1]])
    tokens_BT = torch.arange(24).view(3, 8) % 17 + 3
    batch = Sequences(tokens_BT, mask_BT, tokens_BT, ones(3, 8))
    outputs = []
    for options in ({"length_groups": 1}, {"length_groups": 3}, {"packing": True}):
        with torch.no_grad():
            outputs.append(Policy(folder, **options)(batch, 1.0).logprobs_BT)  # type: ignore[arg-type]
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=0, atol=1e-5)
