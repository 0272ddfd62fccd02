"""Where each token of a batch stands: without padding in few rows, or as it was given.

Legend: B sequences of at most L tokens are packed into R rows of W places.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Packed(NamedTuple):
    """Sequences one after another, without padding between them.

    Attributes:
        tokens_RW: int64; the rest of a row is ``fill``.
        positions_RW: int64, counted from 0 in each sequence. The rest of a row holds zeros, each
            of which counts as a sequence of one token.
        places_BL: int64, place of each token in the flattened [R * W]; under a False mask that of
            the last token before it.
    """

    tokens_RW: Tensor
    positions_RW: Tensor
    places_BL: Tensor


def first_fit(lengths: list[int], capacity: int) -> list[tuple[int, int]]:
    """Row and start of each sequence: longest first, each in the first row that has room for it.

    Args:
        lengths: tokens of each sequence.
        capacity: places in a row, at least the longest length.

    Returns:
        (row, start) in the order of ``lengths``.

    Raises:
        ValueError: a sequence is longer than a row.
    """
    if lengths and max(lengths) > capacity:
        raise ValueError(f"capacity={capacity} is below the longest sequence, {max(lengths)}")
    used: list[int] = []
    spots = [(0, 0)] * len(lengths)
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[index]
        row = next((r for r, taken in enumerate(used) if taken + length <= capacity), len(used))
        if row == len(used):
            used.append(0)
        spots[index] = (row, used[row])
        used[row] += length
    return spots


def pack(tokens_BL: Tensor, mask_BL: Tensor, capacity: int | None, fill: int) -> Packed:
    """Pack the tokens under the mask; padding on either side and holes are left out.

    Args:
        tokens_BL: int64 tokens.
        mask_BL: bool, True on tokens; each row has one or more.
        capacity: most places in a row, at least the longest sequence; None for a single row.
        fill: token at the end of rows that are not full.

    Raises:
        ValueError: a sequence is longer than ``capacity``.
    """
    lengths = mask_BL.sum(1).tolist()
    spots = first_fit(lengths, sum(lengths) if capacity is None else capacity)
    ends = [start + length for (_, start), length in zip(spots, lengths, strict=True)]
    R, W = max(row for row, _ in spots) + 1, max(ends)
    start_B = torch.tensor([row * W + start for row, start in spots], device=mask_BL.device)
    positions_BL = mask_BL.long().cumsum(1) - 1
    places_BL = start_B[:, None] + positions_BL.clamp(min=0)
    flat = tokens_BL.new_full((R * W,), fill), tokens_BL.new_zeros(R * W)
    for target, values_BL in zip(flat, (tokens_BL, positions_BL), strict=True):
        target[places_BL[mask_BL]] = values_BL[mask_BL]
    return Packed(flat[0].view(R, W), flat[1].view(R, W), places_BL)


def padded_places(mask_BL: Tensor) -> Tensor:
    """Place of each token in the flattened batch itself, int64 [B, L].

    Under a False mask it is that of the last token before (of the row's first place if none is).
    """
    B, L = mask_BL.shape
    columns_L = torch.arange(L, device=mask_BL.device)
    last_BL = torch.where(mask_BL, columns_L, 0).cummax(1).values
    return last_BL + L * torch.arange(B, device=mask_BL.device)[:, None]
