"""States of rollouts of several turns: what an environment wrote is read and is no state."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from experiences import rollout_of, whole_experience
from torch import Tensor

from lit_entropy.callbacks import EntropyDelta, EntropyDynamics, probe
from lit_entropy.callbacks.probe import ProbeSource, from_state, snapshot, to_state
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import Completions, Experience, Problem

# two turns of the policy with one of the environment between them, and a row without one
ENVIRONMENT_BT = torch.tensor([[0, 0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0]]).bool()
MASK_BT = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]]).bool()
SAMPLED_BT = MASK_BT & ~ENVIRONMENT_BT
TOKENS_BT = torch.tensor([[3, 4, 5, 6, 7, 8, 1], [5, 3, 1, 0, 0, 0, 0]])
PROMPTS = [[3, 10, 5], [4, 11, 6]]


class Dialogue(RolloutEngine):
    """Always the same two responses."""

    runs_policy = False

    def generate(self, *_: Any, **__: Any) -> Completions:
        zeros_BT = torch.zeros(MASK_BT.shape)
        truncated_B = torch.zeros(2, dtype=torch.bool)
        return Completions(TOKENS_BT, MASK_BT, zeros_BT, None, truncated_B, ENVIRONMENT_BT)


@pytest.fixture
def sampler() -> Sampler:
    return Sampler(Policy("chain-s"), Dialogue())


def experience() -> Experience:
    return whole_experience(
        SAMPLED_BT,
        tokens_BT=TOKENS_BT,
        environment_BT=ENVIRONMENT_BT,
        prompt_tokens_BS=torch.tensor(PROMPTS),
        prompt_mask_BS=torch.ones(2, 3, dtype=torch.bool),
        advantages_BT=torch.tensor([[1.0], [-1.0]]) * SAMPLED_BT,
    )


def exact_entropies(policy: Policy) -> Tensor:
    """Entropies [M] at the sampled tokens, row by row from the model's own forward pass."""
    values = []
    for row, prompt in enumerate(PROMPTS):
        tokens_L = torch.cat([torch.tensor(prompt), TOKENS_BT[row][MASK_BT[row]]])
        with torch.no_grad():
            logprobs_LV = policy.model(tokens_L[None]).logits[0].log_softmax(-1)
        entropies_T = -(logprobs_LV.exp() * logprobs_LV).sum(-1)[len(prompt) - 1 : -1]
        values.append(entropies_T[SAMPLED_BT[row][MASK_BT[row]]])
    return torch.cat(values)


def test_a_snapshot_is_of_sampled_tokens_alone(sampler: Sampler) -> None:
    states = experience().sequences
    assert torch.equal(states.mask_BT, MASK_BT) and torch.equal(states.sampled_BT, SAMPLED_BT)
    before = snapshot(sampler, states, states.sampled_BT)
    assert len(before.entropies_M) == len(before.logits_NV) == 7  # of ten tokens in the context
    expected_M = exact_entropies(sampler.policy)
    torch.testing.assert_close(before.entropies_M.float(), expected_M, rtol=0, atol=1e-5)


def test_mixed_precision_does_not_round_a_change() -> None:
    """A step whose change is far below what bfloat16 rounds logits by."""

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16)

    policy, states = Policy("chain-s"), experience().sequences
    mixed = Sampler(policy, Dialogue(), context=autocast)
    generator = torch.Generator().manual_seed(0)
    before, expected = snapshot(mixed, states), exact_entropies(policy)
    with autocast(), torch.no_grad():
        rounded = policy.logits(states)
    with torch.no_grad():
        assert (rounded - policy.logits(states)).abs().max() > 1e-2
        for weight in policy.parameters():
            weight.add_(1e-4 * weight.std() * torch.randn(weight.shape, generator=generator))
    change_M = snapshot(mixed, states).entropies_M - before.entropies_M
    expected_M = (exact_entropies(policy) - expected).double()
    assert 1e-5 < expected_M.abs().mean() < 1e-3
    torch.testing.assert_close(change_M, expected_M, rtol=0.1, atol=2e-6)


def test_a_snapshot_gathers_the_policy_once(
    sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once a block of rows, which is one row where responses are long."""
    entered: list[Policy] = []

    def gathered(policy: Policy) -> nullcontext[None]:
        entered.append(policy)
        return nullcontext()

    states = experience().sequences
    whole = snapshot(sampler, states, states.sampled_BT)
    monkeypatch.setattr(probe, "whole_parameters", gathered)
    monkeypatch.setattr(probe, "PASS_LOGITS", 1)
    by_row = snapshot(sampler, states, states.sampled_BT)
    assert entered == [sampler.policy]
    torch.testing.assert_close(by_row.entropies_M, whole.entropies_M, rtol=0, atol=1e-5)
    torch.testing.assert_close(by_row.logits_NV, whole.logits_NV, rtol=0, atol=1e-4)


def test_fixed_states_survive_a_checkpoint(sampler: Sampler) -> None:
    problems = [Problem(1, "a", "1"), Problem(2, "b", "2")]
    source = ProbeSource(sampler, problems, lambda _: PROMPTS, seed=0)
    states = source.states(2, torch.device("cpu"))
    assert torch.equal(states.sampled_BT, SAMPLED_BT)
    saved = to_state(states)
    assert torch.equal(from_state(saved, "cpu").sampled_BT, SAMPLED_BT)
    del saved["environment_BT"]  # of a run without an environment
    assert torch.equal(from_state(saved, "cpu").sampled_BT, MASK_BT)


class Reversed(Dialogue):
    """The same two responses, each to the other's prompt."""

    def generate(self, *_: Any, **__: Any) -> Completions:
        given = super().generate()
        names = ("tokens_BT", "mask_BT", "environment_BT")
        return replace(given, **{name: getattr(given, name).flip(0) for name in names})


def test_another_fit_is_measured_at_its_own_states(sampler: Sampler) -> None:
    callback, problems = EntropyDelta(2), [Problem(1, "a", "1"), Problem(2, "b", "2")]
    rollout = rollout_of(experience(), group_size=2)
    for number, rows in enumerate((TOKENS_BT, TOKENS_BT.flip(0))):
        own = replace(sampler, engine=(Dialogue(), Reversed())[number])
        callback._source = ProbeSource(own, problems, lambda _: PROMPTS, seed=0)
        with pytest.warns(UserWarning, match="its states and its") if number else nullcontext():
            assert "dynamics/delta" not in callback.on_rollout(rollout, Ranks())
        assert torch.equal(callback.state_dict()["probe"]["tokens_BT"], rows)


def test_entropy_dynamics_counts_sampled_tokens_alone(sampler: Sampler) -> None:
    """The change of every set is the mean over seven states, by the model's own forward pass."""
    callback = EntropyDynamics(probe_prompts=2, rollout_prompts=1)
    problems = [Problem(1, "a", "1"), Problem(2, "b", "2")]
    callback._source = ProbeSource(sampler, problems, lambda _: PROMPTS, seed=0)
    callback.on_rollout(rollout_of(experience(), group_size=2), Ranks())
    before_M = exact_entropies(sampler.policy)
    with torch.no_grad():
        for weight in sampler.policy.parameters():
            weight.mul_(1.05)
    change = float((exact_entropies(sampler.policy) - before_M).mean())
    assert abs(change) > 1e-3
    values = callback.on_updated()
    for key in ("fixed/delta", "own/delta", "on_policy/delta", "on_policy/fixed"):
        assert values[f"dynamics/{key}"] == pytest.approx(change, abs=1e-5)
    assert values["dynamics/on_policy/shift"] == 0
