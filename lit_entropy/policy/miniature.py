"""Fresh policies on a vocabulary of words, small enough that every expectation is enumerated."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from lit_entropy.functional.rng import hash_keys
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.quiet import quiet
from lit_entropy.policy.table import SoftmaxTable, SoftmaxTableConfig

PAD, END = "<pad>", "<end>"
Kind = Literal["table", "transformer"]
#: Width of the transformer, two layers of it.
WIDTH = 32


class Miniature(Policy):
    """A policy that nothing was trained on: a softmax table, or a transformer of two layers.

    Both have logits of about the same spread; in the table no two states share a parameter, in the
    transformer all do. The words are ``w0``, ``w1`` and so on, each a token, beside ``<pad>`` and
    ``<end>``: a vocabulary of ``words`` + 2.

    Args:
        kind: ``table`` or ``transformer``.
        words: number of words.
        spread: standard deviation of the logits of a state.
        seed: draws the weights, a pure function of it.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, kind: Kind = "table", words: int = 16, spread: float = 1.0, seed: int = 0
    ) -> None:
        if kind not in ("table", "transformer"):
            raise ValueError(f"kind={kind!r}: use 'table' or 'transformer'")
        if words < 4:
            raise ValueError(f"words={words}: use at least 4")
        if not spread > 0:
            raise ValueError(f"spread={spread} must be above 0")
        with TemporaryDirectory() as folder:
            write_miniature(Path(folder), kind, words, spread, seed)
            super().__init__(folder)


def write_miniature(folder: Path, kind: Kind, words: int, spread: float, seed: int) -> None:
    """Write model and tokenizer of a :class:`Miniature` to a folder; arguments are its own."""
    tokenizer = word_tokenizer(words)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(hash_keys("miniature", seed)) % 2**63)
        build = _table if kind == "table" else _transformer
        build(tokenizer, spread).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def word_tokenizer(words: int) -> PreTrainedTokenizerFast:
    """A tokenizer of the words ``w0`` to ``w<words - 1>``, ids 2 and up, parted by spaces."""
    symbols = [PAD, END, *(f"w{number}" for number in range(words))]
    tokenizer = Tokenizer(WordLevel({word: k for k, word in enumerate(symbols)}, unk_token=PAD))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _table(tokenizer: PreTrainedTokenizerFast, spread: float) -> PreTrainedModel:
    return SoftmaxTable(
        SoftmaxTableConfig(
            vocab_size=len(tokenizer),
            initializer_range=spread,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _transformer(tokenizer: PreTrainedTokenizerFast, spread: float) -> PreTrainedModel:
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        attention_dropout=0.0,
        use_sliding_window=False,
        initializer_range=WIDTH**-0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = Qwen2ForCausalLM(config)
    # the head reads states whose mean square is 1, so that its logits have this spread
    torch.nn.init.normal_(model.lm_head.weight, std=spread * WIDTH**-0.5)
    return model
