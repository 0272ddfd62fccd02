"""Buffers under casts: rotary frequencies stay float32, as ``from_pretrained`` keeps them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from other_models import save_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from lit_entropy.policy import LoraOptions, Policy

IDS = torch.arange(3, 15)[None]
XGLM = dict(d_model=16, ffn_dim=32, num_layers=1, attention_heads=2, bos_token_id=1)


def buffers(model: torch.nn.Module) -> dict[str, torch.dtype]:
    named = model.named_buffers(remove_duplicate=False)
    return {name: buffer.dtype for name, buffer in named if buffer.is_floating_point()}


@pytest.mark.parametrize(
    ("model_type", "config", "rounded"),
    [
        ("llama", {}, []),
        # made in the weights' dtype, and multiplied with bfloat16 activations
        ("gemma3_text", {}, ["embed_tokens.embed_scale"]),
        ("xglm", XGLM, ["embed_positions.weights"]),
    ],
)
def test_as_from_pretrained_keeps_them(
    tmp_path: Path, model_type: str, config: dict[str, int], rounded: list[str]
) -> None:
    folder = save_model(tmp_path, model_type, **config)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    expected = buffers(plain)
    names = [name.removeprefix("model.") for name in expected]
    assert [n for n in names if expected[f"model.{n}"] == torch.bfloat16] == rounded
    loaded = Policy(folder, dtype="bfloat16")
    cast = Policy(folder).to(torch.bfloat16)  # as trainer.precision=bf16-true does
    reference = copy.deepcopy(Policy(folder)).to(next(loaded.parameters()))
    for policy in (loaded, cast, reference, copy.deepcopy(cast)):
        assert {parameter.dtype for parameter in policy.parameters()} == {torch.bfloat16}
        assert buffers(policy.model) == expected
        with torch.no_grad():
            assert torch.equal(policy.eval().model(IDS).logits, plain(IDS).logits)


def test_rotary_angles_at_the_end_of_4096_positions(tmp_path: Path) -> None:
    """Rounded frequencies would be 0.7 radians off there."""
    folder = save_model(tmp_path, "llama", head_dim=32)
    exact = Policy(folder).model.base_model.rotary_emb.inv_freq
    rounded = 4095 * (exact.bfloat16().float() - exact).abs().max()
    assert rounded > 0.5
    for policy in (Policy(folder, dtype="bfloat16"), Policy(folder).bfloat16()):
        assert torch.equal(policy.model.base_model.rotary_emb.inv_freq, exact)
    back = Policy(folder).bfloat16().float()
    assert torch.equal(back.model.base_model.rotary_emb.inv_freq, exact)


def test_float64_and_adapters(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "llama")
    for policy in (Policy(folder, lora=LoraOptions(rank=2)).bfloat16(), Policy(folder).double()):
        assert isinstance(policy.model, PreTrainedModel)
        assert set(buffers(policy.model).values()) == {torch.float32}
