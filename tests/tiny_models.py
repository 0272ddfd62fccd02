"""Builds a tiny, randomly initialised Qwen2 with a character tokenizer, saved to a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"


def character_tokenizer(vocab: str = "0123456789+-*=;# ") -> PreTrainedTokenizerFast:
    """One token a character; ids 0, 1, 2 are pad, end of sequence and unknown."""
    ids = {token: index for index, token in enumerate([PAD, EOS, UNK, *vocab])}
    backend = Tokenizer(models.WordLevel(ids, unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_tiny_model(
    folder: str | Path,
    vocab: str = "0123456789+-*=;# ",
    hidden: int = 32,
    layers: int = 2,
    seed: int = 0,
) -> str:
    """Save a random model (weights of standard deviation 0.2, so that entropies vary) and return
    the folder; the global random state is left as it was."""
    tokenizer = character_tokenizer(vocab)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        initializer_range=0.2,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
