"""Fingerprints, whole weights, and the proof that an engine has them; seeds and ragged tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import build_tiny_model

from lit_entropy.functional.rng import hash_keys
from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.responses import Response, row_seeds, to_completions
from lit_entropy.rollouts.weights import (
    StaleWeightsError,
    engine_gap,
    fingerprint,
    full_weights,
    require_same_weights,
    weighted_bits,
    write_weights,
)
from lit_entropy.types import Completions

PROMPTS = [[5, 6, 7], [5, 6], [9, 4, 8, 3], [5, 6, 7]]


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy(build_tiny_model(tmp_path / "model"))


def rollout(policy: Policy, temperature: float = 1.0) -> Completions:
    ids, samples = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 1])
    return LocalEngine().generate(
        policy, PROMPTS, ids, samples, max_new_tokens=12, temperature=temperature, keys=(0, "test")
    )


def test_fingerprint_sees_the_last_bit_of_any_parameter(policy: Policy) -> None:
    before = fingerprint(policy)
    assert fingerprint(policy) == before
    with torch.no_grad():
        for parameter in policy.parameters():
            entry = parameter.view(-1)[-1:]
            old = entry.clone()
            entry.copy_(torch.nextafter(old, torch.tensor([9.0])))
            assert fingerprint(policy) != before
            entry.copy_(old)
    assert fingerprint(policy) == before


def test_fingerprint_is_a_sum_over_parts(policy: Policy) -> None:
    """What makes it the same for shards that lie on different ranks."""
    total = sum(
        int(weighted_bits(part, index, 7 * number))
        for index, parameter in enumerate(policy.parameters())
        for number, part in enumerate(parameter.detach().split(7))
    )
    assert (total - fingerprint(policy)) % 2**64 == 0


@pytest.mark.parametrize("shape", [(5,), (6, 4), (3, 2, 2), ()])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_weights_of_places_by_a_second_route(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit in Python's whole numbers, and in blocks of any size."""
    part = torch.randn(shape).to(dtype)
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[part.element_size()]
    rows = part.view(integer).reshape(shape[0] if shape else 1, -1).tolist()
    expected = sum(
        bits * ((int(hash_keys("rows", 3, 10 + r)) | 1) + 2 * int(hash_keys("columns", 3, c)))
        for r, row in enumerate(rows)
        for c, bits in enumerate(row)
    )
    for block in (1, 9, 2**22):
        monkeypatch.setattr("lit_entropy.rollouts.weights._BLOCK", block)
        assert (int(weighted_bits(part, 3, 10)) - expected) % 2**64 == 0


def test_changes_that_cancel_are_seen(policy: Policy) -> None:
    """One bit up and one bit down, anywhere in a tensor: a sum of all bits stays as it is."""
    parameter = next(policy.bfloat16().parameters())
    before, bits = fingerprint(policy), parameter.detach().view(torch.int16)
    rows, columns = bits.shape
    for up, down in [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((2, 3), (rows - 1, columns - 1))]:
        bits[up] += 1
        bits[down] -= 1
        assert fingerprint(policy) != before
        bits[up] -= 1
        bits[down] += 1
    bits[[0, 1]] = bits[[1, 0]]  # rows in another order
    assert fingerprint(policy) != before


def test_weights_come_under_all_their_names(policy: Policy) -> None:
    """Among them the tied head, whose packed copy vLLM renews only when it is named."""
    weights = dict(full_weights(policy))
    state = policy.model.state_dict()
    assert weights.keys() == state.keys() and "lm_head.weight" in weights
    assert all(torch.equal(weights[name], value) for name, value in state.items())
    assert not any(value.requires_grad for value in weights.values())


def test_adapters_are_added_in(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    policy = Policy(build_tiny_model(tmp_path / "model"), lora=LoraOptions(rank=2))
    plain = dict(full_weights(policy))
    assert not any("lora" in name for name in plain)
    before = fingerprint(policy)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    merged = dict(full_weights(policy))
    assert fingerprint(policy) != before
    changed = {name for name, value in merged.items() if not torch.equal(value, plain[name])}
    assert changed and all("proj" in name for name in changed)


@pytest.mark.parametrize("shard_bytes", [1, 5000, 2**32])
def test_written_weights_are_the_policys(policy: Policy, tmp_path: Path, shard_bytes: int) -> None:
    write_weights(policy, tmp_path / "out", shard_bytes)
    files = sorted((tmp_path / "out").iterdir())
    read = {name: value for file in files for name, value in load_file(file).items()}
    state = policy.model.state_dict()
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], value) for name, value in state.items())
    assert len(files) == {1: len(state), 2**32: 1}.get(shard_bytes, len(files))
    write_weights(policy, None)  # a rank that only takes part


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_gap_by_a_second_route(policy: Policy, temperature: float) -> None:
    completions = rollout(policy, temperature)
    assert engine_gap(policy, PROMPTS, completions, temperature) < 1e-5  # the engine is the policy
    shift_BT = 0.25 * torch.rand(completions.mask_BT.shape)
    completions.logprobs_BT = completions.logprobs_BT - shift_BT
    expected = float(shift_BT[completions.mask_BT].mean())
    gap = engine_gap(policy, PROMPTS, completions, temperature)
    assert gap == pytest.approx(expected, abs=1e-5)


def test_an_environments_tokens_have_no_gap(policy: Policy) -> None:
    """Their log-prob is 0 by agreement."""
    completions = rollout(policy)
    completions.environment_BT = torch.zeros_like(completions.mask_BT)
    completions.environment_BT[:, :2] = completions.mask_BT[:, :2]
    completions.logprobs_BT = completions.logprobs_BT.clone()
    completions.logprobs_BT[:, :2] = 0.0
    assert engine_gap(policy, PROMPTS, completions, 1.0) < 1e-5
    require_same_weights(policy, PROMPTS, completions, 1.0, 1e-4, "the engine")


def test_other_weights_are_refused(policy: Policy) -> None:
    completions = rollout(policy)
    require_same_weights(policy, PROMPTS, completions, 1.0, 1e-4, "the engine")
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(1e-3)
    gap = engine_gap(policy, PROMPTS, completions, 1.0)
    assert gap > 1e-4
    with pytest.raises(StaleWeightsError, match=r"the engine samples .*gap_tolerance=0\.0001"):
        require_same_weights(policy, PROMPTS, completions, 1.0, 1e-4, "the engine")
    require_same_weights(policy, PROMPTS, completions, 1.0, 1.01 * gap, "the engine")
    completions.logprobs_BT[0, 0] = float("nan")
    with pytest.raises(StaleWeightsError):
        require_same_weights(policy, PROMPTS, completions, 1.0, 1e9, "the engine")


def test_seeds_belong_to_the_row() -> None:
    ids, samples = torch.arange(64) // 8, torch.arange(64) % 8
    seeds = row_seeds((0, "rollout", 3), ids, samples)
    assert len(set(seeds)) == 64 and all(0 <= seed < 2**63 for seed in seeds)
    order = torch.randperm(64)
    assert row_seeds((0, "rollout", 3), ids[order], samples[order]) == [
        seeds[row] for row in order.tolist()
    ]
    assert set(seeds).isdisjoint(row_seeds((0, "rollout", 4), ids, samples))


def test_ragged_responses_are_padded() -> None:
    completions = to_completions(
        [Response([7, 2], [-0.5, -0.25], False), Response([3, 4, 5], [-1.0, -2.0, -3.0], True)],
        0,
        torch.device("cpu"),
    )
    assert completions.tokens_BT.tolist() == [[7, 2, 0], [3, 4, 5]]
    assert completions.mask_BT.tolist() == [[True, True, False], [True, True, True]]
    assert completions.logprobs_BT.tolist() == [[-0.5, -0.25, 0.0], [-1.0, -2.0, -3.0]]
    assert completions.truncated_B.tolist() == [False, True]
    assert completions.entropies_BT is None


@pytest.mark.parametrize("response", [Response([], [], False), Response([1, 2], [-1.0], True)])
def test_a_response_that_is_no_response(response: Response) -> None:
    with pytest.raises(ValueError, match="row 0: it must give"):
        to_completions([response], 0, torch.device("cpu"))
