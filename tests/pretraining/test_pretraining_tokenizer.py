"""The character tokenizer, as made and as AutoTokenizer loads it from a shipped folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

import lit_entropy
from lit_entropy.pretraining.tokenizer import CHARACTERS, character_tokenizer

SHIPPED = Path(lit_entropy.__file__).parent / "assets" / "chain-s"
TOKENIZERS = [character_tokenizer(), AutoTokenizer.from_pretrained(SHIPPED)]


@given(st.text(CHARACTERS, max_size=40))
def test_round_trip_is_exact_one_token_a_character(text: str) -> None:
    # Ids by a second route: the place in the alphabet after the four special tokens.
    expected = [4 + CHARACTERS.index(character) for character in text]
    for tokenizer in TOKENIZERS:
        assert tokenizer.encode(text, add_special_tokens=False) == expected
        assert tokenizer.decode(expected) == text
        padded = [*expected, tokenizer.eos_token_id, tokenizer.pad_token_id]
        assert tokenizer.decode(padded, skip_special_tokens=True) == text


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_special_tokens(tokenizer) -> None:  # type: ignore[no-untyped-def]
    ids = [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id]
    assert ids == [0, 1, 2] and tokenizer.unk_token_id == 3
    assert len(tokenizer) == 21
    assert tokenizer.encode("7 ") == [11, 20]  # nothing is added
