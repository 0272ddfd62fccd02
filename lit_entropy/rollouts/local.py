"""Rollouts from the policy's own forward pass: batched, with a KV cache, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.functional.rng import uniforms
from lit_entropy.functional.sampling import sample_tokens
from lit_entropy.policy.casts import shared_casts
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.cached import check_cache, prefill
from lit_entropy.rollouts.llama import cache_bytes, is_plain_llama
from lit_entropy.rollouts.turns import in_turns, whole
from lit_entropy.types import Completions

#: Tokens [B], their log-probs and entropies, and whether the rows had not ended before.
Column = tuple[Tensor, Tensor, Tensor, Tensor]
#: Most sequences decoded at once by default, and on a CPU.
ROWS, ROWS_CPU = 1024, 256
#: Bytes of keys and values up to which a small model decodes as many on a CPU as elsewhere.
SMALL_CACHE = 1 << 30


class LocalEngine(RolloutEngine):
    """Samples with the training weights themselves, so no weight synchronisation is needed.

    Rows that share a prompt share its prefill. Finished rows are dropped from the cache, so ragged
    lengths do not pay for the longest response.
    """

    runs_policy = True

    def __init__(
        self,
        max_rows: int | None = None,
        compact_below: float = 0.8,
        gap_tolerance: float | None = None,
        check_every: int | None = None,
    ) -> None:
        """Set the batching of the sampler; no argument changes what is sampled.

        Args:
            max_rows: most sequences decoded at once; more are decoded in turns, those of short
                prompts first. None for 1024, and on a CPU for 256, where larger batches are
                slower, or for as many up to 1024 as a small Llama or Qwen2 holds keys and values
                of in 1 GiB.
            compact_below: drop finished rows once this share of the batch or less is unfinished.
            gap_tolerance: largest mean difference, in nats per token, of its log-probs and those of
                the updates' forward pass; a larger one at any RL step stops the run. None for
                1e-3, and 0.1 where weights or passes are in less than float32.
            check_every: tokens between two looks at which rows have ended, the only time that the
                engine itself waits for a GPU as it decodes; up to one less are decoded in vain at
                the end. None for 1 on a CPU, which has nothing to wait for, and 8 elsewhere.

        Raises:
            ValueError: a number is out of range.
        """
        if max_rows is not None and max_rows < 1:
            raise ValueError(f"max_rows={max_rows} must be at least 1, or null")
        if not 0 <= compact_below <= 1:
            raise ValueError(f"compact_below={compact_below} must lie in [0, 1]")
        if gap_tolerance is not None and not gap_tolerance > 0:
            raise ValueError(f"gap_tolerance={gap_tolerance} must be positive, or null")
        if check_every is not None and check_every < 1:
            raise ValueError(f"check_every={check_every} must be at least 1, or null")
        self.max_rows = max_rows
        self.check_every = check_every
        self.gap_tolerance = gap_tolerance
        self.compact_below = compact_below

    def setup(self, policy: Policy) -> None:
        """Check that the model's cached decoding is its forward pass; see :func:`check_cache`."""
        with evaluation_mode(policy), whole_parameters(policy):
            check_cache(policy)

    @torch.no_grad()
    def generate(
        self,
        policy: Policy,
        prompts: list[list[int]],
        prompt_ids_B: Tensor,
        sample_ids_B: Tensor,
        *,
        max_new_tokens: int,
        temperature: float,
        keys: tuple[int | str, ...],
    ) -> Completions:
        """Sample one response for each row; see :class:`RolloutEngine`."""
        device = next(policy.parameters()).device
        positions_T = torch.arange(max_new_tokens)
        uniforms_BT = uniforms(*keys, prompt_ids_B[:, None], sample_ids_B[:, None], positions_T)
        on_cpu = device.type == "cpu"
        check_every = self.check_every or (1 if on_cpu else 8)
        longest = max(map(len, prompts), default=0) + max_new_tokens
        turns = in_turns(prompts, self.max_rows or _rows(policy, longest))
        parts = []
        with evaluation_mode(policy), whole_parameters(policy), shared_casts(policy.model):
            for rows in turns:
                part = _decode(
                    policy, [prompts[row] for row in rows], uniforms_BT[rows].to(device),
                    temperature, self.compact_below, check_every,
                )  # fmt: skip
                parts.append(part)
        return whole(parts, turns, policy.pad_token_id)


def _rows(policy: Policy, longest: int) -> int:
    """Sequences of at most ``longest`` tokens that are decoded at once."""
    model = policy.model
    if model.device.type != "cpu":
        return ROWS
    if not is_plain_llama(model):
        return ROWS_CPU
    return min(max(SMALL_CACHE // (longest * cache_bytes(model)), ROWS_CPU), ROWS)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block: gradient checkpointing would switch the KV cache off."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _decode(
    policy: Policy,
    prompts: list[list[int]],
    uniforms_BT: Tensor,
    temperature: float,
    compact_below: float,
    check_every: int,
) -> Completions:
    """Decode one batch token by token until every row has ended or the limit is reached.

    Rows that have ended since the last look write padding. No shape depends on them in between, so
    that nothing here waits for a GPU.
    """
    limit = uniforms_BT.shape[1]
    result = _empty(uniforms_BT, policy.pad_token_id)
    logits_BV, batch = prefill(policy, prompts, limit)
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
