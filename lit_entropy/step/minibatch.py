"""Optimiser minibatches: each rank's microbatches, their log-probs, and token selection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from lit_entropy.errors import ensure_finite
from lit_entropy.types import Experience, PolicyOutput

if TYPE_CHECKING:
    from lit_entropy.module import EntropyModule


def all_ranks(module: EntropyModule, tensor: Tensor) -> Tensor:
    """The tensors of all ranks, stacked: [world size, ...]."""
    return cast(Tensor, module.all_gather(tensor))


def rank_rows(module: EntropyModule, rows: Tensor) -> Tensor:
    """This rank's share of rows that every rank knows."""
    return rows[module.trainer.global_rank :: module.trainer.world_size]


def own_microbatches(module: EntropyModule, rows: Tensor, count: int) -> list[Tensor]:
    """The rows of this rank's microbatches of a minibatch."""
    own = rank_rows(module, rows)
    return list(own.split(len(own) // count))


def microbatches(
    module: EntropyModule, experience: Experience, rows: Tensor, count: int, update: int
) -> Iterator[Experience]:
    """This rank's microbatches of one optimiser minibatch.

    Args:
        module: the module that trains.
        experience: the rollout over all ranks.
        rows: int64 rows of the minibatch, over all ranks.
        count: microbatches on each rank.
        update: index of the optimiser update in the run.

    Yields:
        Experience rows with the minibatch's token count and, for a loss that selects tokens over
        a minibatch that is split, the selection.
    """
    tokens = int(experience.mask_BT[rows].sum())
    experience = replace(experience, minibatch_tokens=tokens, update=update)
    parts = own_microbatches(module, rows, count)
    if module.loss.selects_tokens and len(parts) * module.trainer.world_size > 1:
        with module.stopwatch("selection"):
            selected_BT = select(module, experience, rows, parts)
        experience = replace(experience, selected_BT=selected_BT)
    for part in parts:
        yield experience.rows(part).trimmed()


@torch.no_grad()
def select(
    module: EntropyModule, experience: Experience, rows: Tensor, parts: list[Tensor]
) -> Tensor:
    """Let the loss select tokens over the whole minibatch (eq. 11 and 13); bool [B, T]."""
    assert experience.entropies_BT is not None
    policy = PolicyOutput(experience.old_logprobs_BT, experience.entropies_BT)  # "old", no pass
    if module.loss.selection_logprobs == "current":
        policy = score_tokens(module, experience, parts, module.policy)
    minibatch = PolicyOutput(policy.logprobs_BT[rows], policy.entropy_BT[rows])
    selected_BT = torch.zeros_like(experience.mask_BT)
    selected_BT[rows] = module.loss.select(minibatch, experience.rows(rows))
    return selected_BT


@torch.no_grad()
def score_tokens(
    module: EntropyModule,
    experience: Experience,
    parts: list[Tensor],
    policy: nn.Module,
    name: str = "log-probs of the policy",
) -> PolicyOutput:
    """Log-probs and entropies under ``policy`` of this rank's rows, joined over the ranks.

    Args:
        module: gives device, precision context and the ranks.
        experience: the rows to score.
        parts: int64 row indices of each forward pass of this rank; ranks hold disjoint rows.
        policy: the policy, its frozen reference copy, or another model with its signature.
        name: what the log-probs are called in an error.

    Returns:
        float32 [B, T], zero on rows that no rank scored.

    Raises:
        NonFiniteError: a log-prob is NaN or infinite.
    """
    logprobs_BT = torch.zeros_like(experience.old_logprobs_BT)
    entropy_BT = torch.zeros_like(logprobs_BT)
    with module.forward_context():
        for rows in parts:
            batch = experience.rows(rows).trimmed()
            output = policy(batch, module.temperature)
            width = output.logprobs_BT.shape[1]
            logprobs_BT[rows, :width] = output.logprobs_BT
            entropy_BT[rows, :width] = output.entropy_BT
    ensure_finite(name, logprobs_BT, module.rl_step)
    if module.trainer.world_size > 1:
        # one rank holds each row and the others hold zeros: the sum is exact
        add = module.trainer.strategy.reduce
        logprobs_BT = add(logprobs_BT, reduce_op="sum")
        entropy_BT = add(entropy_BT, reduce_op="sum")
    return PolicyOutput(logprobs_BT, entropy_BT)
