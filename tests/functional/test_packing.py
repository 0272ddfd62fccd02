"""Packing: by hand, as properties, and as transformers tells packed sequences apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.masking_utils import find_packed_sequence_indices

from lit_entropy.functional.packing import first_fit, pack, padded_places


def test_by_hand() -> None:
    """Left padding, right padding and a hole; capacity 4 takes 3 + 1 and 2."""
    mask_BL = torch.tensor([[0, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 1]], dtype=torch.bool)
    tokens_BL = torch.arange(12).view(3, 4) + 10
    packed = pack(tokens_BL, mask_BL, 4, fill=-1)
    assert packed.tokens_RW.tolist() == [[15, 16, 17, 12], [18, 21, -1, -1]]
    assert packed.positions_RW.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0]]
    assert packed.places_BL.tolist() == [[3, 3, 3, 3], [0, 0, 1, 2], [4, 4, 4, 5]]
    assert padded_places(mask_BL).tolist() == [[0, 0, 2, 2], [4, 5, 6, 7], [8, 8, 8, 11]]
    single = pack(tokens_BL, mask_BL, None, fill=-1)
    assert single.tokens_RW.tolist() == [[15, 16, 17, 18, 21, 12]]


def test_first_fit_by_hand() -> None:
    # longest first: 5 | 4 opens a row | 3 with the 5 | 2 with the 4 | 2 with the 4
    assert first_fit([2, 5, 3, 4, 2], 8) == [(1, 4), (0, 0), (0, 5), (1, 0), (1, 6)]
    assert first_fit([], 3) == []
    with pytest.raises(ValueError, match="capacity=4 is below the longest sequence, 5"):
        first_fit([2, 5], 4)


@st.composite
def masks(draw: st.DrawFn) -> Tensor:
    """Masks with at least one token a row."""
    width = draw(st.integers(1, 7))
    row = st.lists(st.booleans(), min_size=width, max_size=width).filter(any)
    return torch.tensor(draw(st.lists(row, min_size=1, max_size=8)))


@settings(max_examples=80)
@given(mask_BL=masks(), spare=st.integers(0, 9), one_row=st.booleans())
def test_every_token_has_its_place_and_its_sequence(
    mask_BL: Tensor, spare: int, one_row: bool
) -> None:
    B, L = mask_BL.shape
    tokens_BL = torch.arange(1, B * L + 1).view(B, L)
    longest = int(mask_BL.sum(1).max())
    packed = pack(tokens_BL, mask_BL, None if one_row else longest + spare, fill=0)
    assert torch.equal(packed.tokens_RW.flatten()[packed.places_BL[mask_BL]], tokens_BL[mask_BL])
    assert int((packed.tokens_RW != 0).sum()) == int(mask_BL.sum())
    R, W = packed.tokens_RW.shape
    assert R == 1 if one_row else longest + spare >= W
    # two rows, each less than half full, would have been one
    assert int(mask_BL.sum()) * 2 >= (longest + spare) * (R - 1)
    # what transformers makes of the positions: one index a sequence, in every row
    found_RW = find_packed_sequence_indices(packed.positions_RW)
    found_RW = torch.zeros(R, W, dtype=torch.int64) if found_RW is None else found_RW
    names = (found_RW + 1000 * torch.arange(R)[:, None]).flatten()[packed.places_BL]
    for b in range(B):
        assert len(set(names[b][mask_BL[b]].tolist())) == 1
    assert len({int(names[b][mask_BL[b]][0]) for b in range(B)}) == B
    fill_names = (found_RW + 1000 * torch.arange(R)[:, None])[packed.tokens_RW == 0].tolist()
    assert not set(fill_names) & set(names[mask_BL].tolist())


@settings(max_examples=40)
@given(mask_BL=masks())
def test_a_masked_place_points_to_the_token_before(mask_BL: Tensor) -> None:
    tokens_BL = torch.arange(mask_BL.numel()).view(mask_BL.shape)
    packed = pack(tokens_BL, mask_BL, None, fill=-1)
    for places_BL, flat in (
        (packed.places_BL, packed.tokens_RW.flatten()),
        (padded_places(mask_BL), tokens_BL.flatten()),
    ):
        for b in range(len(mask_BL)):
            last = None
            for column in range(mask_BL.shape[1]):
                last = int(tokens_BL[b, column]) if mask_BL[b, column] else last
                if last is not None:
                    assert int(flat[places_BL[b, column]]) == last
