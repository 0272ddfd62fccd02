"""The pass of fewer operations continues rows as the model's own does, and takes no other model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from continued import PROMPTS, continued, double, exact_norms
from other_models import save_model
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine, llama, local
from lit_entropy.rollouts.cached import ModelContinuation, check_cache, prefill
from lit_entropy.rollouts.llama import LlamaContinuation, is_plain_llama

GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
YARN = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("llama", {}),
        ("llama", GROUPED),
        ("llama", {"tie_word_embeddings": True, "head_dim": 4}),
        ("llama", {"rope_parameters": LLAMA3}),
        ("llama", {"rope_parameters": YARN}),
        ("qwen2", GROUPED),
        ("qwen2", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    ],
)
def test_it_is_the_models_own_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str, config: dict[str, Any]
) -> None:
    exact_norms(monkeypatch, LlamaRMSNorm, Qwen2RMSNorm)
    policy = double(tmp_path, model_type, **config)
    for name, parameter in policy.model.named_parameters():
        if name.endswith(("bias", "norm.weight")):  # made as zeros and ones
            nn.init.normal_(parameter, mean=float("norm" in name), std=0.3)
    found = continued(policy, LlamaContinuation)
    monkeypatch.setattr(llama, "is_plain_llama", lambda model: False)
    expected = continued(policy, ModelContinuation)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


class Operations(TorchDispatchMode):
    """Counts the operations within the block."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        self.count += 1
        return function(*arguments, **(options or {}))


@torch.no_grad()
def test_it_has_fewer_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, tokens_B, counts = Policy("chain-s").eval(), torch.tensor([5, 6, 7]), []
    for own in (True, False):
        if not own:
            monkeypatch.setattr(llama, "is_plain_llama", lambda model: False)
        _, rows = prefill(policy, [[3, 4, 5]] * 3, 8)
        rows.next_logits(tokens_B)
        with Operations() as operations:
            rows.next_logits(tokens_B)
        counts.append(operations.count)
    assert counts[0] < 0.65 * counts[1]


@pytest.mark.parametrize("base", ["chain-s", "discovery-s"])
def test_the_same_tokens_are_drawn(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, rows = Policy(base), torch.arange(64)
    prompts = [[3 + row // 8 + place for place in range(2 + row // 16)] for row in range(64)]

    def draw() -> Any:
        return LocalEngine().generate(
            policy, prompts, rows // 8, rows % 8, max_new_tokens=40, temperature=1.0, keys=(1,)
        )

    assert is_plain_llama(policy.model)
    found = draw()
    monkeypatch.setattr(llama, "is_plain_llama", lambda model: False)
    expected = draw()
    assert torch.equal(found.tokens_BT, expected.tokens_BT)
    assert torch.equal(found.truncated_B, expected.truncated_B)
    torch.testing.assert_close(found.logprobs_BT, expected.logprobs_BT, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(found.entropies_BT, expected.entropies_BT, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("qwen3", {}),
        ("mistral", {}),
        ("gemma3_text", {}),
        ("olmo2", {}),
        ("llama", {"attention_bias": True}),
        ("llama", {"mlp_bias": True}),
        ("llama", {"hidden_act": "gelu"}),
        ("llama", {"rope_parameters": {**YARN, "rope_type": "dynamic"}}),
        (
            "qwen2",
            {
                "layer_types": ["full_attention", "sliding_attention"],
                "sliding_window": 4,
                "use_sliding_window": True,
            },
        ),
    ],
)
def test_other_models(tmp_path: Path, model_type: str, config: dict[str, Any]) -> None:
    policy = double(tmp_path, model_type, **config)
    assert not is_plain_llama(policy.model)
    with torch.no_grad():
        assert type(prefill(policy, PROMPTS, 3)[1]) is ModelContinuation


@pytest.mark.parametrize(
    ("base", "longest", "rows"),
    [
        ("chain-s", 100, 1024),  # 2 layers x (keys + values) x 64 x 4 bytes: 1 kB a token
        ("chain-s", 2_097, 500),
        ("chain-s", 100_000, 256),
        ("chain-l", 1_000, 262),
    ],
)
def test_rows_at_once(base: str, longest: int, rows: int) -> None:
    policy = Policy(base)
    assert local.default_rows(policy.model, longest, on_cpu=True) == rows
    policy.model.to(torch.bfloat16)
    assert local.default_rows(policy.model, longest, on_cpu=True) == 256


class Own(nn.Linear):
    """A layer of a user's."""


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.model.layers[1].register_forward_hook(lambda *_: None),
        lambda model: model.model.norm.register_forward_pre_hook(lambda *_: None),
        lambda model: setattr(model.model.layers[0].mlp, "forward", lambda x: x),
        lambda model: setattr(model.model.layers[0].self_attn, "q_proj", Own(16, 16, bias=False)),
        lambda model: model.to(torch.bfloat16),
        lambda model: setattr(model.config, "_attn_implementation", "own"),
    ],
)
def test_a_model_that_was_changed(tmp_path: Path, change: Any) -> None:
    policy = Policy(save_model(tmp_path, "llama")).eval()
    assert is_plain_llama(policy.model)
    change(policy.model)
    assert not is_plain_llama(policy.model)


@pytest.mark.parametrize("kind", [LlamaAttention, LlamaRMSNorm, nn.Linear])
def test_a_class_that_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module]
) -> None:
    policy = Policy(save_model(tmp_path, "llama"))
    monkeypatch.setattr(kind, "forward", lambda self, *arguments, **options: arguments[0])
    assert not is_plain_llama(policy.model)


def test_autocast_adapters_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_model(tmp_path, "llama")
    policy = Policy(folder)
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_plain_llama(policy.model)
    size = sum(parameter.numel() for parameter in policy.model.parameters())
    for largest, small in ((size, True), (size - 1, False)):
        monkeypatch.setattr(llama, "LARGEST", largest)
        assert is_plain_llama(policy.model) is small
    monkeypatch.undo()
    pytest.importorskip("peft")
    assert not is_plain_llama(Policy(folder, lora=LoraOptions()).model)


def test_a_wrong_pass_is_seen_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(save_model(tmp_path, "llama")).eval()
    check_cache(policy)
    monkeypatch.setattr(llama, "_turned", lambda states, cos, sin: states)
    with pytest.raises(ValueError, match="decoding with its cache gives other log-probs"):
        check_cache(policy)
