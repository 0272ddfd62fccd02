"""Tokens of a batch side by side, a prompt of several rows once, and rows for their attention.

Legend: N tokens that stand once each; M places of padded rows, in which attention sees them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.padding import length_groups


class Rows(NamedTuple):
    """Where N tokens stand in sequences of padded length, one rectangle a group of like lengths.

    Attributes:
        sizes: rows and width of each rectangle; together they have M places.
        tokens_M: int64, the token of each place, row by row; on padding that of the row's end.
        first_N: int64, the first place of each token; it has others where rows share a prompt.
    """

    sizes: list[tuple[int, int]]
    tokens_M: Tensor
    first_N: Tensor


class Unpadded(NamedTuple):
    """A batch without its padding.

    Attributes:
        tokens_N: int64, distinct prompts first, then all responses.
        positions_N: int64, counted from 0 in each sequence.
        places_BL: int64, which of the N tokens each one of the batch is; under a False mask that
            of the last token before it.
        rows: the sequences of which attention is taken.
    """

    tokens_N: Tensor
    positions_N: Tensor
    places_BL: Tensor
    rows: Rows


def unpad(
    tokens_BL: Tensor, mask_BL: Tensor, prompt_width: int, groups: int, most: float = 1.0
) -> Unpadded | None:
    """Lay out a batch without padding; equal prompts are laid out once.

    Causal models only: what a prompt's tokens see is then the same in all rows that share it.

    Args:
        tokens_BL: int64 tokens.
        mask_BL: bool, True on tokens; one run of them in each row, across the prompt's end.
        prompt_width: columns of the prompts, S.
        groups: most rectangles of rows of like length, see
            :func:`lit_entropy.functional.padding.length_groups`.
        most: largest share of the batch's places that may be left.

    Returns:
        The layout; None where more than ``most`` is left.
    """
    S = prompt_width
    prompt_BS = tokens_BL[:, :S].masked_fill(~mask_BL[:, :S], -1)
    prompt_US, prompt_B = torch.unique(prompt_BS, dim=0, return_inverse=True)
    mask_US, mask_BT = prompt_US >= 0, mask_BL[:, S:]
    if int(mask_US.sum() + mask_BT.sum()) > most * mask_BL.numel():
        return None
    lengths_B = mask_BL.sum(1)
    positions_BL = mask_BL.long().cumsum(1) - 1
    prompt_places_US = _count(mask_US)
    places_BL = torch.cat([prompt_places_US[prompt_B], _count(mask_BT) + mask_US.sum()], 1)
    places_BL = torch.where(mask_BL, places_BL, 0).cummax(1).values
    tokens = [prompt_US[mask_US], tokens_BL[:, S:][mask_BT]]
    positions = [(mask_US.long().cumsum(1) - 1)[mask_US], positions_BL[:, S:][mask_BT]]
    tokens_N = torch.cat(tokens)
    rows = _rows(places_BL, mask_BL.long().argmax(1), lengths_B, len(tokens_N), groups)
    return Unpadded(tokens_N, torch.cat(positions), places_BL, rows)


def _count(mask: Tensor) -> Tensor:
    """Number of each True place in row-major order, from 0."""
    return (mask.flatten().long().cumsum(0) - 1).view_as(mask)


def _rows(places_BL: Tensor, start_B: Tensor, lengths_B: Tensor, tokens: int, groups: int) -> Rows:
    """Rectangles of the rows' tokens, which stand in one run from their start."""
    sizes, parts = [], []
    for rows in length_groups(lengths_B, groups):
        width = int(lengths_B[rows].max())
        columns = torch.arange(width, device=rows.device).minimum(lengths_B[rows, None] - 1)
        parts.append(places_BL[rows].gather(1, start_B[rows, None] + columns).flatten())
        sizes.append((len(rows), width))
    tokens_M = torch.cat(parts)
    places_M = torch.arange(len(tokens_M), device=tokens_M.device)
    first_N = places_M.new_full((tokens,), len(places_M))
    return Rows(sizes, tokens_M, first_N.scatter_reduce(0, tokens_M, places_M, "amin"))
