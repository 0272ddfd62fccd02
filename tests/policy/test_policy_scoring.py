"""Packed sequences against padded ones: numbers, gradients, holes, and models that cannot."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_policy import SIZES, make_batch, save_with_tokenizer
from tiny_models import build_tiny_model
from transformers import (
    BambaConfig,
    BambaForCausalLM,
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

import lit_entropy.policy.scoring as policy_scoring
from lit_entropy.functional.packing import pack
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.scoring import lay_out
from lit_entropy.types import Sequences

V = 20
SMALL = SIZES | {"num_hidden_layers": 2}
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    # a window shorter than most sequences
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=4)),
    # a softcap: the model's own forward pass gives the logits
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SMALL, sliding_window=4, final_logit_softcapping=1.0)
    ),
    # learned positions
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=V, n_embd=16, n_layer=2, n_head=2, eos_token_id=1, bos_token_id=None)
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def model_of(kind: str, models: dict[str, Any], folder: str, factory: Any) -> str:
    """A shipped base, the tiny model in ``folder``, or one of ``models`` in a folder of its own."""
    if kind not in models:
        return folder if kind == "tiny" else kind
    torch.manual_seed(0)
    return save_with_tokenizer(models[kind](), folder, factory.mktemp(kind))


@pytest.fixture(scope="module", params=["tiny", "chain-xs", *MODELS])
def name(request: pytest.FixtureRequest, folder: str, tmp_path_factory: Any) -> str:
    return model_of(request.param, MODELS, folder, tmp_path_factory)


def ragged(B: int = 8, S: int = 7, T: int = 12, vocab: int = 14) -> Sequences:
    """Prompts of 1..S and responses of 0..T tokens."""
    generator = torch.Generator().manual_seed(5)
    prompt_lengths = torch.randint(1, S + 1, (B, 1), generator=generator)
    lengths = torch.randint(1, T + 1, (B, 1), generator=generator)
    lengths[2] = 0
    mask_BT = torch.arange(T) < lengths
    return Sequences(
        tokens_BT=torch.randint(3, vocab, (B, T), generator=generator),
        mask_BT=mask_BT,
        prompt_tokens_BS=torch.randint(3, vocab, (B, S), generator=generator),
        prompt_mask_BS=torch.arange(S) >= S - prompt_lengths,
    )


def gradients(policy: Policy, batch: Sequences) -> dict[str, torch.Tensor]:
    policy.zero_grad()
    output = policy(batch, 0.8)
    weights_BT = torch.linspace(-1, 2, batch.mask_BT.numel()).view_as(batch.mask_BT)
    (weights_BT * (output.logprobs_BT + 0.5 * output.entropy_BT)).sum().backward()
    return {key: value.grad for key, value in policy.named_parameters() if value.grad is not None}


def test_packed_equals_padded(name: str) -> None:
    """Log-probs, entropies, logits and gradients; float32 attention in other shapes."""
    # with recomputed layers a batch is passed as it was padded
    padded = Policy(name, length_groups=1, gradient_checkpointing=True)
    packed = Policy(name, packing=True)
    batch = ragged()
    for got, expected in zip(packed(batch, 0.8), padded(batch, 0.8), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=5e-6)
        assert (got[~batch.mask_BT] == 0).all()
    logits = (policy.logits(batch)[batch.mask_BT] for policy in (packed, padded))
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)
    expected_gradients = gradients(padded, batch)
    got_gradients = gradients(packed, batch)
    assert set(got_gradients) == set(expected_gradients)
    for key, value in expected_gradients.items():
        size = max(1e-3, float(value.abs().max()))
        torch.testing.assert_close(got_gradients[key], value, rtol=0, atol=2e-5 * size, msg=key)


def test_packing_leaves_out_the_padding(folder: str) -> None:
    """One pass over fewer places; the sequences fill rows of the longest one's length."""
    policy, batch = Policy(folder, packing=True), ragged()
    seen: list[torch.Size] = []
    policy.model.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape), with_kwargs=True
    )
    policy(batch, 1.0)
    lengths = batch.prompt_mask_BS.sum(1) + batch.mask_BT.sum(1)
    assert len(seen) == 1 and seen[0][1] == int(lengths.max())
    assert int(lengths.sum()) <= seen[0].numel() < 0.7 * 8 * (7 + 12)


@pytest.mark.parametrize("packing", [False, True])
def test_a_hole_is_refused(folder: str, packing: bool) -> None:
    """The later tokens would be predicted as if those in the hole had not been there."""
    policy, batch = Policy(folder, packing=packing), make_batch()
    hole = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 0, 1, 0, 0], [0] * 6, [0] * 6])
    with pytest.raises(ValueError, match="mask_BT has a hole: it is the attention mask"):
        policy(replace(batch, mask_BT=hole.bool()), 0.7)


def test_a_single_row_gives_the_same(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout that flash attention needs."""
    policy, batch = Policy(folder, packing=True), ragged()
    expected = policy(batch, 1.0)
    monkeypatch.setattr(
        "lit_entropy.policy.scoring.pack",
        lambda tokens, mask, capacity, fill: pack(tokens, mask, None, fill),
    )
    layout = lay_out(policy, batch)
    assert layout.inputs["input_ids"].shape[0] == 1
    assert layout.sources_BT[batch.mask_BT].unique().numel() == int(batch.mask_BT.sum())
    for got, value in zip(policy(batch, 1.0), expected, strict=True):
        torch.testing.assert_close(got, value, rtol=1e-5, atol=5e-6)


def test_order_of_rows_changes_nothing(folder: str) -> None:
    policy, batch = Policy(folder, packing=True), ragged()
    order = torch.tensor([5, 2, 7, 0, 1, 6, 4, 3])
    for got, expected in zip(policy(batch.rows(order), 1.0), policy(batch, 1.0), strict=True):
        torch.testing.assert_close(got, expected[order], rtol=1e-5, atol=5e-6)


def test_packing_with_checkpointing_and_bfloat16(folder: str) -> None:
    batch = ragged()
    plain = gradients(Policy(folder, packing=True), batch)
    again = gradients(Policy(folder, packing=True, gradient_checkpointing=True), batch)
    for key, value in plain.items():
        assert torch.equal(again[key], value), key
    output = Policy(folder, packing=True, dtype="bfloat16")(batch, 1.0)
    assert output.logprobs_BT.dtype == output.entropy_BT.dtype == torch.float32


@pytest.mark.parametrize("checkpointing", [False, True])
def test_blocks_of_logits_give_the_plain_gradients(
    folder: str, monkeypatch: pytest.MonkeyPatch, checkpointing: bool
) -> None:
    """A tied head: its weight gets gradients as head and as embedding."""
    batch = ragged()
    expected = gradients(Policy(folder), batch)
    policy = Policy(folder, chunk_tokens=4, gradient_checkpointing=checkpointing)
    assert policy.model.lm_head.weight is policy.model.model.embed_tokens.weight
    score = functools.partial(policy_scoring.chunked_logprobs_and_entropy, plain_logits=0)
    monkeypatch.setattr(policy_scoring, "chunked_logprobs_and_entropy", score)
    got = gradients(policy, batch)
    for key, value in expected.items():
        size = max(1e-3, float(value.abs().max()))
        torch.testing.assert_close(got[key], value, rtol=0, atol=1e-5 * size, msg=key)


OTHERS: dict[str, tuple[Any, str]] = {
    "bloom": (
        lambda: BloomForCausalLM(BloomConfig(vocab_size=V, hidden_size=16, n_layer=1, n_head=2)),
        "BloomForCausalLM.forward takes no position_ids",
    ),
    "opt": (
        lambda: OPTForCausalLM(
            OPTConfig(
                vocab_size=V, hidden_size=16, ffn_dim=32, num_hidden_layers=1,
                num_attention_heads=2, word_embed_proj_dim=16, init_std=0.5, eos_token_id=1,
                bos_token_id=0, pad_token_id=0,
            )
        ),
        "in OPTForCausalLM sequences of one row see each other",
    ),
    # attention keeps the sequences apart, the recurrent layer does not
    "bamba": (
        lambda: BambaForCausalLM(
            BambaConfig(
                **SMALL, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8, attn_layer_indices=[1]
            )
        ),
        "in BambaForCausalLM sequences of one row see each other",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(OTHERS))
def test_models_that_mix_packed_sequences_are_refused(
    kind: str, folder: str, tmp_path: Any
) -> None:
    build, message = OTHERS[kind]
    torch.manual_seed(0)
    source = save_with_tokenizer(build(), folder, tmp_path)
    with pytest.raises(ValueError, match=rf"packing=True.*{message}.*model\.policy\.packing"):
        Policy(source, packing=True)
