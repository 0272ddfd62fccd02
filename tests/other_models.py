"""Tiny random models of any architecture of transformers, with the tests' character tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_models import character_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

V = 20
#: Names that many configs share; each ignores what it does not know.
SIZES = dict(
    vocab_size=V,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=8,
    initializer_range=0.3,
    eos_token_id=1,
    bos_token_id=None,
    pad_token_id=0,
)


def save_model(folder: Path, model_type: str, **config: Any) -> str:
    """Save a random model of ``model_type`` with a tokenizer; returns the folder."""
    made = AutoConfig.for_model(model_type, **(SIZES | config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(made)
    model.save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    return str(folder)


#: A multimodal model, whose text model has a config of its own.
GEMMA3 = dict(
    text_config=SIZES | dict(max_position_embeddings=128, final_logit_softcapping=1.0),
    vision_config=dict(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    ),
    mm_tokens_per_image=4,
    boi_token_index=17,
    eoi_token_index=18,
    image_token_index=19,
)
#: Phi-3 with the short factors up to 16 positions and the long ones beyond.
LONGROPE = dict(
    max_position_embeddings=64,
    original_max_position_embeddings=16,
    rope_parameters=dict(
        rope_type="longrope",
        rope_theta=10000.0,
        short_factor=[1.0] * 4,
        long_factor=[8.0] * 4,
        original_max_position_embeddings=16,
    ),
)
MAMBA2 = dict(num_heads=4, head_dim=8, n_groups=1, state_size=8)
MINIMAX = dict(num_local_experts=2, layer_types=["linear_attention", "full_attention"])
NEMOTRON_H = dict(
    layers_block_type=["linear_attention", "attention"],
    mamba_num_heads=4,
    mamba_head_dim=8,
    n_groups=1,
    ssm_state_size=8,
)
BART = dict(
    d_model=16,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=16,
    decoder_ffn_dim=16,
    bos_token_id=1,
)
