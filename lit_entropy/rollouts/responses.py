"""What engines outside the process of the policy share: seeds, and ragged responses to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.rng import hash_keys
from lit_entropy.types import Completions


class Response(NamedTuple):
    """One sampled sequence.

    Attributes:
        tokens: its token ids, the end-of-sequence token included.
        logprobs: natural log-probs of these tokens at the sampling temperature.
        truncated: whether the limit of new tokens ended it.
        environment: whether an environment wrote each token, of which the log-prob is then 0; None
            from an engine that has no environment.
    """

    tokens: Sequence[int]
    logprobs: Sequence[float]
    truncated: bool
    environment: Sequence[bool] | None = None

    def then(self, other: Response) -> Response:
        """This one and ``other`` after it, as one response in turns; that one's end counts."""
        return Response(
            [*self.tokens, *other.tokens],
            [*self.logprobs, *other.logprobs],
            other.truncated,
            [*_written(self), *_written(other)],
        )


def environment_turn(tokens: Sequence[int]) -> Response:
    """What an environment writes between two turns of the policy."""
    return Response(tokens, [0.0] * len(tokens), False, [True] * len(tokens))


def _written(response: Response) -> Sequence[bool]:
    return response.environment or [False] * len(response.tokens)


def to_responses(completions: Completions) -> list[Response]:
    """The rows of an engine's completions one by one, without padding."""
    environment_BT, rows = completions.environment_BT, len(completions.mask_BT)
    columns = (  # lists: a boolean index of each row would make the host wait for a GPU
        completions.tokens_BT.tolist(),
        completions.logprobs_BT.tolist(),
        [None] * rows if environment_BT is None else environment_BT.tolist(),
        completions.mask_BT.tolist(),
        completions.truncated_B.tolist(),
    )
    return [
        Response(
            list(compress(tokens, kept)),
            list(compress(logprobs, kept)),
            truncated,
            None if written is None else list(compress(written, kept)),
        )
        for tokens, logprobs, written, kept, truncated in zip(*columns, strict=True)
    ]


def row_seeds(keys: tuple[int | str, ...], prompt_ids_B: Tensor, sample_ids_B: Tensor) -> list[int]:
    """A seed in [0, 2^63) for each row, a function of keys, prompt id and sample id alone."""
    return [seed & (2**63 - 1) for seed in hash_keys(*keys, prompt_ids_B, sample_ids_B).tolist()]


def to_completions(
    responses: Sequence[Response], pad_token_id: int, device: torch.device
) -> Completions:
    """Pad responses on the right; entropies stay unknown.

    Args:
        responses: one per row, each of at least one token.
        pad_token_id: fills ``tokens_BT``.
        device: where the tensors lie.

    Raises:
        ValueError: a response is empty or has another number of log-probs than tokens, or not all
            of them say what an environment wrote, of each token or (empty) of none.
    """
    for row, response in enumerate(responses):
        if not response.tokens or len(response.tokens) != len(response.logprobs):
            raise ValueError(
                f"the engine gave {len(response.tokens)} tokens and {len(response.logprobs)} "
                f"log-probs for row {row}: it must give at least one token and a log-prob for each"
            )
        written = len(response.environment or response.tokens)
        if written != len(response.tokens):
            raise ValueError(
                f"the engine gave {len(response.tokens)} tokens for row {row}, and ``environment`` "
                f"says of {written} whether an environment wrote them: it must say so of each, or "
                "be empty where nothing was written"
            )
    # all or none: rows of other ranks and draws are joined to these
    knows = responses[0].environment is not None
    if any((response.environment is not None) != knows for response in responses):
        raise ValueError(
            "some responses say which tokens an environment wrote and some do not: give all "
            "of them ``environment``, empty where nothing was written, or none"
        )
    shape = (len(responses), max(len(response.tokens) for response in responses))
    tokens_BT = torch.full(shape, pad_token_id, dtype=torch.int64)
    logprobs_BT = torch.zeros(shape, dtype=torch.float32)
    mask_BT = torch.zeros(shape, dtype=torch.bool)
    environment_BT = torch.zeros(shape, dtype=torch.bool)
    for row, response in enumerate(responses):
        length = len(response.tokens)
        environment_BT[row, :length] = torch.tensor(list(_written(response)))
        tokens_BT[row, :length] = torch.tensor(list(response.tokens), dtype=torch.int64)
        logprobs_BT[row, :length] = torch.tensor(list(response.logprobs), dtype=torch.float32)
        mask_BT[row, :length] = True
    return Completions(
        tokens_BT=tokens_BT.to(device),
        mask_BT=mask_BT.to(device),
        logprobs_BT=logprobs_BT.to(device),
        entropies_BT=None,
        truncated_B=torch.tensor([response.truncated for response in responses]).to(device),
        environment_BT=environment_BT.to(device) if knows else None,
    )
