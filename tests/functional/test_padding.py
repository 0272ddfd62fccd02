"""Left and right padding."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.functional.padding import left_pad, pad_left, pad_right


def test_left_pad_by_hand() -> None:
    tokens_NS, mask_NS = left_pad([[5, 6], [7], [1, 2, 3], []], pad_token_id=9)
    assert tokens_NS.tolist() == [[9, 5, 6], [9, 9, 7], [1, 2, 3], [9, 9, 9]]
    assert mask_NS.int().tolist() == [[0, 1, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0]]
    assert tokens_NS.dtype == torch.int64 and mask_NS.dtype == torch.bool


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=5))
def test_the_mask_gives_the_sequences_back(sequences: list[list[int]]) -> None:
    """Also where a token equals the pad token."""
    tokens_NS, mask_NS = left_pad(sequences, pad_token_id=0)
    assert tokens_NS.shape == (len(sequences), max(len(sequence) for sequence in sequences))
    for row, sequence in enumerate(sequences):
        assert tokens_NS[row][mask_NS[row]].tolist() == sequence
        assert (mask_NS[row].int().diff() >= 0).all()  # padding on the left alone


def test_widening_by_hand() -> None:
    tensor = torch.tensor([[1, 2], [3, 4]])
    assert pad_right(tensor, 4, 7).tolist() == [[1, 2, 7, 7], [3, 4, 7, 7]]
    assert pad_left(tensor, 3).tolist() == [[0, 1, 2], [0, 3, 4]]
    mask = torch.tensor([[True]])
    assert pad_right(mask, 2, False).tolist() == [[True, False]]
    for pad in (pad_left, pad_right):
        assert pad(mask, 3).dtype == torch.bool
        assert torch.equal(pad(tensor, 2, 7), tensor)  # already that wide
