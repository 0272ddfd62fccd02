"""Weights cast once under autocast: how many copies are made and kept, and the same numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from test_policy_scoring import gradients, ragged
from tiny_models import build_tiny_model
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lit_entropy.policy import LoraOptions, Policy
from lit_entropy.policy.casts import shared_casts
from lit_entropy.policy.compiled import plain_pass
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Completions

#: As Lightning's bf16-mixed opens it.
AUTOCAST: dict[str, Any] = {"dtype": torch.bfloat16, "cache_enabled": False}


class CastWeights(TorchDispatchMode):
    """Counts how often each of some tensors is cast."""

    def __init__(self, weights: dict[int, str]) -> None:
        super().__init__()
        self.weights, self.count = weights, Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default and args[0].data_ptr() in self.weights:
            self.count[self.weights[args[0].data_ptr()]] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=["plain", "lora"])
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    lora = LoraOptions(rank=2) if request.param == "lora" else None
    torch.manual_seed(0)
    policy = Policy(build_tiny_model(tmp_path_factory.mktemp("tiny")), lora=lora)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:  # zeros would hide the gradient of the other factor
            nn.init.normal_(parameter, std=0.1)
    return policy


def layers(policy: Policy) -> dict[int, str]:
    """The weights of the base model's linear layers, by their address."""
    return {
        weight.data_ptr(): f"{name}.{key}"
        for name, module in policy.model.base_model.named_modules()
        if isinstance(module, nn.Linear) and module is not policy.model.get_output_embeddings()
        for key, weight in module.named_parameters()
    }


def without_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product casts its weight, as autocast itself does."""
    monkeypatch.setattr(Policy, "_current_pass", property(lambda policy: plain_pass))
    monkeypatch.setattr("lit_entropy.policy.casts.autocast_dtype", lambda model: None)


def test_three_passes_keep_one_copy(policy: Policy) -> None:
    weights = layers(policy)
    kept: list[Tensor] = []
    casts = CastWeights(weights)
    with (
        torch.autocast("cpu", **AUTOCAST),
        torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
        ),
        casts,
    ):
        output = policy(ragged(), 1.0)
    assert set(casts.count) == set(weights.values()) and set(casts.count.values()) == {1}
    shapes = {weight.shape for weight in policy.parameters()}
    copies = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in kept
        if tensor.dtype == torch.bfloat16 and tensor.dim() == 2
        and {tensor.shape, tensor.T.shape} & shapes
    }  # fmt: skip
    whole = sum(2 * p.numel() for p in policy.parameters() if p.data_ptr() in weights)
    head = 2 * policy.model.get_output_embeddings().weight.numel()
    assert 0.9 * whole < sum(copies.values()) <= whole + 3 * head  # the head is cast by each pass
    assert output.logprobs_BT.requires_grad


def test_numbers_and_gradients_are_those_of_separate_casts(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.autocast("cpu", **AUTOCAST):
        found = gradients(policy, ragged())
        without_sharing(monkeypatch)
        expected = gradients(policy, ragged())
    assert found.keys() == expected.keys() and len(found) > 2
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    assert all(type(weight) is nn.Parameter for weight in policy.parameters())


def test_changed_weights_are_cast_anew(policy: Policy) -> None:
    batch = ragged()
    with torch.autocast("cpu", **AUTOCAST):
        with torch.no_grad():
            before = policy(batch, 1.0).logprobs_BT
        policy(batch, 1.0).logprobs_BT.sum().backward()  # copies without gradients are not taken up
        trained = [p for p in policy.parameters() if p.requires_grad]
        assert all(p.grad is not None and bool((p.grad != 0).any()) for p in trained)
        torch.optim.SGD(trained, lr=0.1).step()
        with torch.no_grad():
            assert (policy(batch, 1.0).logprobs_BT - before).abs().max() > 1e-2


def decoded(policy: Policy) -> Completions:
    rows = torch.arange(4)
    prompts = [[3, 4, 5][: 1 + row % 3] for row in rows.tolist()]
    return LocalEngine().generate(
        policy, prompts, rows, rows, max_new_tokens=12, temperature=1.0, keys=(0, "cast", 1)
    )


def test_decoding_casts_each_weight_once(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = layers(policy)
    with torch.autocast("cpu", **AUTOCAST):
        with CastWeights(weights) as casts:
            found = decoded(policy)
        assert set(casts.count.values()) == {1} and set(casts.count) == set(weights.values())
        without_sharing(monkeypatch)
        with CastWeights(weights) as casts:
            expected = decoded(policy)
        assert min(casts.count.values()) > 5
    assert torch.equal(found.tokens_BT, expected.tokens_BT)
    assert torch.equal(found.logprobs_BT, expected.logprobs_BT)


def test_weights_are_put_back_after_an_error(policy: Policy) -> None:
    before = dict(policy.model.named_parameters())
    stopped = pytest.raises(RuntimeError, match="in the middle")
    with torch.autocast("cpu", **AUTOCAST), stopped, shared_casts(policy.model):
        raise RuntimeError("in the middle")
    after = dict(policy.model.named_parameters())
    assert after.keys() == before.keys() and all(after[name] is before[name] for name in before)
