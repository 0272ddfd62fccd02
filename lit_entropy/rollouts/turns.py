"""Rows that are decoded at once, and how the parts make a whole again."""

import torch
from torch import Tensor

from lit_entropy.functional.padding import pad_right
from lit_entropy.types import Completions


def in_turns(prompts: list[list[int]], most: int) -> list[list[int]]:
    """Rows to decode at once, ``most`` of them or fewer.

    Prompts of about one length share a turn: they are padded little, and their responses end
    together more often.
    """
    rows = list(range(len(prompts)))
    if len(rows) > most:
        rows.sort(key=lambda row: len(prompts[row]))
    return [rows[start : start + most] for start in range(0, len(rows), most)]


def whole(parts: list[Completions], turns: list[list[int]], pad_token_id: int) -> Completions:
    """The completions of all turns in the order of their rows, padded on the right."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.tokens_BT.shape[1] for part in parts)
    row_B = torch.tensor([row for rows in turns for row in rows])
    place_B = row_B.argsort().to(parts[0].tokens_BT.device)

    def join(columns: list[Tensor], value: float | bool) -> Tensor:
        return torch.cat([pad_right(part, width, value) for part in columns])[place_B]

    entropies = [part.entropies_BT for part in parts if part.entropies_BT is not None]
    return Completions(
        tokens_BT=join([part.tokens_BT for part in parts], pad_token_id),
        mask_BT=join([part.mask_BT for part in parts], False),
        logprobs_BT=join([part.logprobs_BT for part in parts], 0.0),
        entropies_BT=join(entropies, 0.0) if entropies else None,
        truncated_B=torch.cat([part.truncated_B for part in parts])[place_B],
    )
