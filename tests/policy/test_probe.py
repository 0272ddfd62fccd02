"""The probe of a model at construction, and the context that its config names."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from other_models import BART, GEMMA3, LONGROPE, SIZES, save_model
from transformers import AutoConfig

from lit_entropy.policy import Policy
from lit_entropy.policy.checks import context_length
from lit_entropy.policy.probe import check_model, difference, tolerance

DYNAMIC = dict(rope_type="dynamic", rope_theta=1e4, factor=4.0)


@pytest.mark.parametrize(
    ("model_type", "config", "message"),
    [
        (
            "phimoe",
            {"num_local_experts": 4},
            r"random noise.*noise=0\.01\).*set it to 0",
        ),
        (
            "mixtral",
            {"num_local_experts": 4, "router_jitter_noise": 0.3},
            r"MixtralForCausalLM routes tokens with random noise.*router_jitter_noise=0\.3",
        ),
        ("bert", {}, "BertLMHeadModel is no causal language model.*name a decoder"),
        ("bart", BART, "BartForCausalLM: the log-probs of a row change by .* nats with padding"),
        ("rwkv", {"attention_hidden_size": 16}, "RwkvForCausalLM: the log-probs of a row change"),
    ],
)
def test_refused_models(
    tmp_path: Path, model_type: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"model='.*': .*{message}"):
        Policy(save_model(tmp_path, model_type, **config))


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("mixtral", {"num_local_experts": 4}),
        ("bert", {"is_decoder": True}),
        ("bloom", {}),
        ("gpt_oss", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_accepted_models(
    tmp_path: Path, model_type: str, config: dict[str, Any], dtype: Any
) -> None:
    Policy(save_model(tmp_path, model_type, **config), dtype=dtype)


def test_noise_that_no_config_names(tmp_path: Path) -> None:
    """In training mode alone; the state of the global generator and the modes stay as they were."""
    policy = Policy(save_model(tmp_path, "llama"))
    policy.model.eval()
    policy.model.lm_head.train()
    state = torch.get_rng_state()
    check_model("plain", policy.model, policy.model_inputs)
    policy.model.lm_head.register_forward_hook(
        lambda layer, _, logits: logits + 1e-3 * torch.rand_like(logits) * layer.training
    )
    with pytest.raises(ValueError, match=r"model='noisy': Llama.* differ by [4-9]\..e-04 nats"):
        check_model("noisy", policy.model, policy.model_inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert policy.model.lm_head.training and not policy.model.training


def test_a_row_that_sees_its_batch(tmp_path: Path) -> None:
    policy = Policy(save_model(tmp_path, "llama"))
    policy.model.lm_head.register_forward_hook(
        lambda _, __, logits: logits + 0.01 * logits.mean(0, keepdim=True)
    )
    with pytest.raises(ValueError, match=r"row change by .* and the other rows of its batch"):
        check_model("mixing", policy.model, policy.model_inputs)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    policy = Policy(save_model(tmp_path / "whole", "llama"))
    with torch.no_grad():
        policy.model.base_model.norm.weight[0] = float("nan")
    policy.save(tmp_path / "damaged")
    with pytest.raises(ValueError, match=r"Llama.* gives NaN .* weights are damaged or unfinished"):
        Policy(str(tmp_path / "damaged"))


def test_a_difference_that_is_not_finite_is_no_agreement() -> None:
    assert difference(torch.tensor([1.0]), torch.tensor([float("nan")])) == float("inf")
    assert difference(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0])) == 0.5
    barred = torch.tensor([-1.0, float("-inf")])  # a token that the head never gives
    assert difference(barred, barred) == 0.0
    assert difference(barred, torch.tensor([-1.0, -9.0])) == float("inf")


def test_cost() -> None:
    """Measured: 9 ms for chain-s, 22 ms for chain-l, where loading takes some 60 ms."""
    policy = Policy("chain-s")
    check_model("chain-s", policy.model, policy.model_inputs)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        check_model("chain-s", policy.model, policy.model_inputs)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    ("model_type", "config", "expected"),
    [
        ("llama", {"max_position_embeddings": 77}, 77),
        ("gpt2", {"n_positions": 32}, 32),
        ("mpt", {"max_seq_len": 48}, 48),
        ("bloom", {}, None),
        ("gemma3", GEMMA3, 128),  # the text model's, not the vision model's
        ("phi3", SIZES | LONGROPE, 16),
        ("llama", {"max_position_embeddings": 32, "rope_parameters": DYNAMIC}, 32),
        ("gemma3_text", {"max_position_embeddings": 64}, 64),  # ropes by kind of layer
    ],
)
def test_context(model_type: str, config: dict[str, Any], expected: int | None) -> None:
    assert context_length(AutoConfig.for_model(model_type, **config)) == expected


def test_a_multimodal_model(tmp_path: Path) -> None:
    """Context and softcap of its logits are the text model's."""
    policy = Policy(save_model(tmp_path, "gemma3", **GEMMA3))
    assert policy.context == 128 and not policy.plain_head


def test_what_rounding_explains_is_that_of_the_products(tmp_path: Path) -> None:
    """A hundred last bits of 3 nats: of float32 2**-23, and of bfloat16 more than a twentieth."""
    policy = Policy(save_model(tmp_path, "llama"))
    logprobs = torch.tensor([-3.0, -1.0, -torch.inf])
    assert tolerance(policy.model, logprobs) == pytest.approx(300 * 2**-23, rel=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert tolerance(policy.model, logprobs) == pytest.approx(0.15, rel=1e-6)
    policy.model.to(torch.bfloat16)
    assert tolerance(policy.model, logprobs) == pytest.approx(0.15, rel=1e-6)
