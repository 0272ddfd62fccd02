"""One batch of rows decoded token by token."""

import torch
from torch import Tensor

from lit_entropy.functional.sampling import sample_tokens
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.cached import prefill
from lit_entropy.rollouts.recorded import Record
from lit_entropy.types import Completions

#: Tokens [B], their log-probs and entropies, and whether the rows had not ended before.
Column = tuple[Tensor, Tensor, Tensor, Tensor]


def decode(
    policy: Policy,
    prompts: list[list[int]],
    uniforms_BT: Tensor,
    temperature: float,
    compact_below: float,
    check_every: int,
    record: Record | None,
) -> Completions:
    """Decode one batch token by token until every row has ended or the limit is reached.

    Rows that have ended since the last look write padding. No shape depends on them in between, so
    that nothing here waits for a GPU.

    Args:
        policy: in evaluation mode, with whole parameters.
        prompts: token ids of each row.
        uniforms_BT: in [0, 1), what draws each token; T is the limit of a response.
        temperature: 0 decodes greedily.
        compact_below: rows that have ended are dropped once this share or less is unfinished.
        check_every: tokens between two looks at which rows have ended.
        record: records decoding steps, where the model's can be; None takes each as it comes.
    """
    limit = uniforms_BT.shape[1]
    result = _empty(uniforms_BT, policy.pad_token_id)
    logits_BV, batch = prefill(policy, prompts, limit, record)
    rows = torch.arange(len(prompts), device=uniforms_BT.device)  # the rows still in the batch
    running = torch.ones_like(rows, dtype=torch.bool)
    columns = list[Column]()  # not yet written, of the same rows
    for position in range(limit):
        draws = sample_tokens(logits_BV, uniforms_BT[rows, position], temperature)
        columns.append((*draws, running))
        tokens = draws[0]
        for end in policy.eos_token_ids:
            running = running & (tokens != end)
        if position == limit - 1:
            break
        if (position + 1) % check_every == 0:
            unfinished = int(running.sum())
            if unfinished == 0:
                break
            if unfinished <= compact_below * len(rows):
                _write(result, rows, position + 1, columns, policy.pad_token_id)
                keep = running.nonzero().squeeze(1)
                batch.keep(keep)
                rows, tokens, running, columns = rows[keep], tokens[keep], running[keep], []
        logits_BV = batch.next_logits(tokens)
    _write(result, rows, position + 1, columns, policy.pad_token_id)
    result.truncated_B[rows] = running
    # the last look may have come after the last token
    return _first_columns(result, int(result.mask_BT.any(0).sum()))


def _empty(uniforms_BT: Tensor, pad_token_id: int) -> Completions:
    zeros_BT = torch.zeros(uniforms_BT.shape, dtype=torch.float32, device=uniforms_BT.device)
    return Completions(
        tokens_BT=torch.full_like(zeros_BT, pad_token_id, dtype=torch.int64),
        mask_BT=torch.zeros_like(zeros_BT, dtype=torch.bool),
        logprobs_BT=zeros_BT,
        entropies_BT=zeros_BT.clone(),
        truncated_B=torch.zeros_like(zeros_BT[:, 0], dtype=torch.bool),
    )


def _write(
    result: Completions, rows: Tensor, end: int, columns: list[Column], pad_token_id: int
) -> None:
    """Write the columns before ``end`` of the rows decoded, padding where they have ended."""
    if not columns:
        return
    place = rows, slice(end - len(columns), end)
    tokens_BN, logprobs_BN, entropies_BN, running_BN = (
        torch.stack(parts, 1) for parts in zip(*columns, strict=True)
    )
    result.tokens_BT[place] = tokens_BN.masked_fill(~running_BN, pad_token_id)
    result.logprobs_BT[place] = logprobs_BN.masked_fill(~running_BN, 0.0)
    _known(result)[place] = entropies_BN.masked_fill(~running_BN, 0.0)
    result.mask_BT[place] = running_BN


def _first_columns(result: Completions, width: int) -> Completions:
    return Completions(
        result.tokens_BT[:, :width],
        result.mask_BT[:, :width],
        result.logprobs_BT[:, :width],
        _known(result)[:, :width],
        result.truncated_B,
    )


def _known(completions: Completions) -> Tensor:
    assert completions.entropies_BT is not None  # this engine sees every distribution
    return completions.entropies_BT
