"""Tokens without padding: by hand, and that every row can be read off them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lit_entropy.functional.unpadded as layouts
from lit_entropy.functional.unpadded import Unpadded


def unpad(tokens_BL: torch.Tensor, mask_BL: torch.Tensor, width: int, groups: int) -> Unpadded:
    """The layout, whatever it leaves out."""
    found = layouts.unpad(tokens_BL, mask_BL, width, groups)
    assert found is not None
    return found


def test_by_hand() -> None:
    """Rows 0 and 2 share the prompt 5 6; row 1 has the prompt 7; row 2 has no response."""
    tokens_BL = torch.tensor([[5, 6, 1, 2, 0], [0, 7, 3, 0, 0], [5, 6, 0, 0, 0]])
    mask_BL = torch.tensor([[1, 1, 1, 1, 0], [0, 1, 1, 0, 0], [1, 1, 0, 0, 0]]).bool()
    batch = unpad(tokens_BL, mask_BL, 2, 2)
    # prompts in the order of their ids, padding first
    assert batch.tokens_N.tolist() == [7, 5, 6, 1, 2, 3]
    assert batch.positions_N.tolist() == [0, 0, 1, 2, 3, 1]
    assert batch.places_BL.tolist() == [[1, 2, 3, 4, 4], [0, 0, 5, 5, 5], [1, 2, 2, 2, 2]]
    # the shortest row of three, then the other two; row 2 ends before row 0 does
    assert batch.rows.sizes == [(1, 2), (2, 4)]
    assert batch.rows.tokens_M.tolist() == [0, 5, 1, 2, 3, 4, 1, 2, 2, 2]
    assert batch.rows.first_N.tolist() == [0, 2, 3, 4, 5, 1]


def rows_of(batch: Unpadded) -> list[list[int]]:
    """Each row of the rectangles as token ids, padding included."""
    found, start = [], 0
    for rows, width in batch.rows.sizes:
        part = batch.rows.tokens_M[start : start + rows * width].view(rows, width)
        found += batch.tokens_N[part].tolist()
        start += rows * width
    assert start == len(batch.rows.tokens_M)
    return found


def _as_grouped(by_length: list[int], batch: Unpadded) -> list[int]:
    """The rows by length, cut as the rectangles are, ascending in each."""
    found, start = [], 0
    for rows, _ in batch.rows.sizes:
        found += sorted(by_length[start : start + rows])
        start += rows
    return found


lengths = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 4), st.integers(0, 2**20))
def test_every_row_is_there(sizes: list[tuple[int, int]], groups: int, seed: int) -> None:
    S, T = max(prompt for prompt, _ in sizes), max(response for _, response in sizes)
    generator = torch.Generator().manual_seed(seed)
    # few ids, so that prompts are often equal
    tokens_BL = torch.randint(0, 2, (len(sizes), S + T), generator=generator)
    columns_L = torch.arange(S + T)
    prompt_B1, response_B1 = (torch.tensor(side)[:, None] for side in zip(*sizes, strict=True))
    mask_BL = (columns_L >= S - prompt_B1) & (columns_L < S + response_B1)
    batch = unpad(tokens_BL, mask_BL, S, groups)
    expected = [tokens_BL[row][mask_BL[row]].tolist() for row in range(len(sizes))]
    assert (batch.tokens_N[batch.places_BL] == tokens_BL)[mask_BL].all()
    positions_BL = mask_BL.long().cumsum(1) - 1
    assert (batch.positions_N[batch.places_BL] == positions_BL)[mask_BL].all()
    prompts = {tuple(row[:prompt]) for row, (prompt, _) in zip(expected, sizes, strict=True)}
    assert len(batch.tokens_N) == sum(map(len, prompts)) + sum(size for _, size in sizes)
    # the rectangles hold the rows, and padding repeats a row's end
    found = rows_of(batch)
    order = sorted(range(len(expected)), key=lambda row: len(expected[row]))
    assert len(found) == len(order)
    assert sorted(width for rows, width in batch.rows.sizes for _ in range(rows)) == sorted(
        map(len, found)
    )
    for row, shown in zip(_as_grouped(order, batch), found, strict=True):
        whole = expected[row]
        assert shown == whole + [whole[-1]] * (len(shown) - len(whole))
    first_N = batch.rows.first_N
    assert batch.rows.tokens_M[first_N].tolist() == list(range(len(batch.tokens_N)))
    places = [(batch.rows.tokens_M == token).nonzero()[0].item() for token in range(len(first_N))]
    assert first_N.tolist() == places


def test_groups_are_those_of_whole_lengths() -> None:
    """Prompt and response count: the longest response alone need not be the longest row."""
    mask_BL = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]]).bool()
    batch = unpad(torch.arange(12).view(2, 6), mask_BL, 4, 2)
    assert batch.rows.sizes == [(1, 3), (1, 4)]
    assert rows_of(batch) == [[9, 10, 11], [0, 1, 2, 3]]


@pytest.mark.parametrize("groups", [1, 3])
def test_rows_of_one_length_have_no_padding(groups: int) -> None:
    tokens_BL = torch.arange(20).view(4, 5)
    batch = unpad(tokens_BL, torch.ones_like(tokens_BL).bool(), 3, groups)
    assert len(batch.rows.tokens_M) == len(batch.tokens_N) == 20
    assert sorted(rows_of(batch)) == tokens_BL.tolist()


def test_little_to_leave_out() -> None:
    """Of 4 rows of 5 places 2 + 2 + 8 tokens: two prompts of two, and two tokens a response."""
    tokens_BL = torch.tensor([[3, 4, 1, 1, 0], [3, 4, 2, 1, 0], [5, 4, 1, 2, 0], [5, 4, 2, 2, 0]])
    mask_BL = torch.tensor([[1, 1, 1, 1, 0]] * 4).bool()
    kept = layouts.unpad(tokens_BL, mask_BL, 2, 1, most=12 / 20)
    assert kept is not None and len(kept.tokens_N) == 12
    assert layouts.unpad(tokens_BL, mask_BL, 2, 1, most=11 / 20) is None
