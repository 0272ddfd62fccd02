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
