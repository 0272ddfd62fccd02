"""The pass without padding against the model's own, and models that do not take it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from test_policy import save_with_tokenizer
from test_policy_scoring import MODELS, OTHERS, SMALL, gradients, model_of, ragged
from tiny_models import build_tiny_model
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from lit_entropy.functional.unpadded import unpad
from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.unpadded import attend_rows, takes_rows
from lit_entropy.types import Sequences

TAKEN: dict[str, Any] = {
    "llama": MODELS["llama"],
    # four queries a key
    "grouped": lambda: LlamaForCausalLM(
        LlamaConfig(**SMALL | {"num_attention_heads": 4, "num_key_value_heads": 1})
    ),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=None)),
    # packing cannot take it: it tells sequences apart by its mask alone
    "opt": OTHERS["opt"][0],
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", params=["tiny", "chain-s", *TAKEN])
def name(request: pytest.FixtureRequest, folder: str, tmp_path_factory: Any) -> str:
    return model_of(request.param, TAKEN, folder, tmp_path_factory)


def groups(batch: Sequences, of: int) -> Sequences:
    """``of`` rows each with one prompt, that of the first."""
    rows = torch.arange(len(batch)) // of * of
    prompts = batch.prompt_tokens_BS[rows], batch.prompt_mask_BS[rows]
    return replace(batch, prompt_tokens_BS=prompts[0], prompt_mask_BS=prompts[1])


def double(policy: Policy) -> Policy:
    return policy.to(torch.float64)


@pytest.mark.parametrize("of", [1, 4])
def test_it_is_the_models_own_pass(name: str, of: int) -> None:
    """Log-probs, entropies, logits and gradients in float64, with and without shared prompts."""
    # with recomputed layers a batch is passed as it was padded
    unpadded = double(Policy(name))
    padded = double(Policy(name, gradient_checkpointing=True, length_groups=1))
    assert unpadded.unpadded and not padded.unpadded
    batch = groups(ragged(), of)
    for got, expected in zip(unpadded(batch, 0.8), padded(batch, 0.8), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)  # returned in float32
        assert (got[~batch.mask_BT] == 0).all()
    logits = (policy.logits(batch)[batch.mask_BT] for policy in (unpadded, padded))
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)
    got_gradients = gradients(unpadded, batch)
    expected_gradients = gradients(padded, batch)
    assert set(got_gradients) == set(expected_gradients) and len(got_gradients) > 5
    for key, value in expected_gradients.items():
        size = max(1e-6, float(value.abs().max()))  # that of a bias of keys is 0
        torch.testing.assert_close(got_gradients[key], value, rtol=0, atol=1e-6 * size, msg=key)


def test_it_passes_each_token_once(folder: str) -> None:
    policy, batch = Policy(folder), groups(ragged(), 4)
    seen: list[torch.Size] = []
    policy.model.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape), with_kwargs=True
    )
    policy(batch, 1.0)
    prompts = batch.prompt_mask_BS[::4].sum()
    assert seen == [torch.Size([1, int(prompts + batch.mask_BT.sum())])]


def test_rows_of_one_length_are_passed_as_they_are(folder: str) -> None:
    """Without padding and shared prompts there is nothing to leave out."""
    policy = Policy(folder)
    whole = torch.ones(4, 6, dtype=torch.bool)
    tokens = torch.arange(24).view(4, 6) % 14
    batch = Sequences(tokens, whole, tokens.flip(0), whole)
    seen: list[torch.Size] = []
    policy.model.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape), with_kwargs=True
    )
    alone = [policy(batch.rows(torch.tensor([row])), 1.0).logprobs_BT[0] for row in range(4)]
    torch.testing.assert_close(policy(batch, 1.0).logprobs_BT, torch.stack(alone))
    assert seen == [torch.Size([1, 12])] * 4 + [torch.Size([4, 12])]
    same = replace(batch, prompt_tokens_BS=tokens[:1].expand(4, 6))
    policy(same, 1.0)
    assert seen[-1] == torch.Size([1, 6 + 24])


def test_the_usual_attention_is_back_afterwards(folder: str) -> None:
    """Also after a pass that fails; decoding and diagnostics ask for it by name."""
    policy, batch = Policy(folder), ragged()
    policy(batch, 1.0)
    assert policy.model.config._attn_implementation == "sdpa"
    hook = policy.model.model.layers[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        policy(batch, 1.0)
    hook.remove()
    assert policy.model.config._attn_implementation == "sdpa"
    policy.model.config._attn_implementation = "eager"
    assert not policy.unpadded


def test_adapters_and_autocast(folder: str) -> None:
    batch = groups(ragged(), 4)
    options = LoraOptions(rank=2)
    policies = (
        Policy(folder, lora=options),
        Policy(folder, lora=options, gradient_checkpointing=True),
    )
    assert policies[0].unpadded and not policies[1].unpadded
    policies[1].load_state_dict(policies[0].state_dict())
    got, expected = (gradients(policy, batch) for policy in policies)
    assert set(got) == set(expected) and all("lora" in key for key in got)
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-4, msg=key)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = [policy(batch, 1.0).logprobs_BT for policy in policies]
    # bfloat16 keeps 8 bits, as in tests/policy/test_policy.py
    torch.testing.assert_close(*outputs, rtol=0.05, atol=0.1)


REFUSED: dict[str, Any] = {
    # a window shorter than the probe, and one far longer
    "window": MODELS["mistral"],
    "long window": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=4096)),
    "layer with a window": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=4096, max_window_layers=1)
    ),
    "softcap": MODELS["gemma2"],
    "local and global layers": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SMALL)),
    "bloom": OTHERS["bloom"][0],
    "bamba": OTHERS["bamba"][0],
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_a_model_of_another_attention_has_its_own_pass(
    kind: str, folder: str, tmp_path: Any
) -> None:
    torch.manual_seed(0)
    source = save_with_tokenizer(REFUSED[kind](), folder, tmp_path)
    assert not Policy(source).unpadded


def test_a_model_that_mixes_tokens_elsewhere_is_found(folder: str) -> None:
    """One whose states see the token before them outside of attention."""
    policy = Policy(folder)
    assert takes_rows(policy.model, policy.model_inputs)
    policy.model.model.norm.register_forward_hook(lambda _, __, states: states + states.roll(1, 1))
    assert not takes_rows(policy.model, policy.model_inputs)


def test_packed_and_other_devices(folder: str) -> None:
    assert not Policy(folder, packing=True).unpadded
    policy = Policy(folder)
    model: PreTrainedModel = policy.model.to("meta")
    assert not takes_rows(model, policy.model_inputs)
    assert not policy.unpadded


@pytest.mark.parametrize(
    "options, asked",
    [({"sliding_window": 8}, "sliding_window"), ({"softcap": 30.0}, "softcap"),
     ({"s_aux": torch.zeros(2)}, "s_aux")],
)  # fmt: skip
def test_another_attention_is_refused_by_name(options: dict[str, Any], asked: str) -> None:
    states = torch.zeros(1, 2, 3, 4)
    batch = unpad(torch.zeros(1, 3).long(), torch.ones(1, 3).bool(), 1, 1)
    assert batch is not None
    rows = batch.rows
    with pytest.raises(ValueError, match=asked):
        attend_rows(torch.nn.Identity(), *[states] * 3, None, rows=rows, **options)
    with pytest.raises(ValueError, match="causal and plain"):
        attend_rows(torch.nn.Identity(), *[states] * 3, None)


def test_attention_by_hand() -> None:
    """Equal queries and keys weigh alike: each token's answer is the mean of the values so far."""
    mask_BL = torch.tensor([[1, 1, 1], [1, 1, 0]]).bool()
    batch = unpad(torch.tensor([[3, 4, 5], [3, 6, 0]]), mask_BL, 1, 1)
    assert batch is not None
    value_1HNE = torch.tensor([2.0, 4.0, 9.0, 8.0]).view(1, 1, 4, 1)  # of 3, 4, 5 and 6
    zeros = torch.zeros_like(value_1HNE)
    seen, _ = attend_rows(torch.nn.Identity(), zeros, zeros, value_1HNE, None, rows=batch.rows)
    assert seen.shape == (1, 4, 1, 1)
    assert seen.flatten().tolist() == pytest.approx([2.0, 3.0, 5.0, 5.0])
