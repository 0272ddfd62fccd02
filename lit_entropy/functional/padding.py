"""Left and right padding of token tensors, and how to need less of it."""

import torch
from torch import Tensor, nn


def left_pad(
    sequences: list[list[int]], pad_token_id: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Left-padded tokens.

    Args:
        sequences: N lists of token ids.
        pad_token_id: fills the left.
        device: of the result.

    Returns:
        tokens_NS int64 and mask_NS bool, True on tokens.
    """
    width = max(len(sequence) for sequence in sequences)
    tokens_NS = torch.full((len(sequences), width), pad_token_id, dtype=torch.int64)
    mask_NS = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        if sequence:
            tokens_NS[row, -len(sequence) :] = torch.tensor(sequence)
            mask_NS[row, -len(sequence) :] = True
    return tokens_NS.to(device), mask_NS.to(device)


def pad_right(tensor_BT: Tensor, width: int, value: float | int | bool = 0) -> Tensor:
    """The second dimension padded on the right to ``width``."""
    return nn.functional.pad(tensor_BT, (0, width - tensor_BT.shape[1]), value=value)


def pad_left(tensor_BS: Tensor, width: int, value: float | int | bool = 0) -> Tensor:
    """The second dimension padded on the left to ``width``."""
    return nn.functional.pad(tensor_BS, (width - tensor_BS.shape[1], 0), value=value)


def holes(mask_BT: Tensor) -> Tensor:
    """Bool [B]: rows of a right-padded mask in which a token follows one that is masked."""
    return (mask_BT[:, 1:] & ~mask_BT[:, :-1]).any(1)


def length_groups(lengths_B: Tensor, groups: int) -> list[Tensor]:
    """Rows by length: the shortest half, the next quarter, ..., the longest rest.

    The number of groups depends on B alone, so that ranks make the same number of passes.

    Args:
        lengths_B: tokens of each row.
        groups: most groups; fewer when a group would be empty.

    Returns:
        Ascending int64 row indices of each group.
    """
    order_B = torch.argsort(lengths_B, stable=True)
    parts = []
    while groups > 1 and len(order_B) > 1:
        half = len(order_B) // 2
        parts.append(order_B[:half].sort().values)
        order_B, groups = order_B[half:], groups - 1
    return [*parts, order_B.sort().values]
