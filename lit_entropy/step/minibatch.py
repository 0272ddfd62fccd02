"""Optimizer minibatches: each rank's microbatches, their log-probs, and token selection."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lit_entropy.contracts import checked_selection
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.errors import ensure_finite
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.step.context import StepContext
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import LossBatch, PolicyOutput, Sequences


class Microbatch:
    """The rows of one forward pass with gradients.

    No dataclass, so that Lightning does not open it: under bf16-true precision it would cast every
    floating tensor that it can reach, old log-probs and advantages included.

    Attributes:
        sequences: what the policy is asked.
        loss_batch: what the loss reads beside its answer, of the same width.
    """

    def __init__(self, sequences: Sequences, loss_batch: LossBatch) -> None:
        self.sequences = sequences
        self.loss_batch = loss_batch

    def on(self, device: torch.device) -> "Microbatch":
        """The same on ``device``."""
        return Microbatch(self.sequences.to(device), self.loss_batch.to(device))


@dataclass(frozen=True)
class RankPasses:
    """Forward passes without gradients over rows that the ranks share out.

    Attributes:
        sampler: gives temperature and precision context.
        ranks: hold disjoint rows each.
        rl_step: named in errors.
    """

    sampler: Sampler
    ranks: Ranks
    rl_step: int

    @torch.no_grad()
    def logprobs(
        self,
        model: nn.Module,
        sequences: Sequences,
        parts: list[Tensor],
        name: str = "log-probs of the policy",
    ) -> PolicyOutput:
        """Log-probs and entropies of this rank's rows under ``model``, joined over the ranks.

        Args:
            model: the policy, its frozen reference copy, or another model with its signature.
            sequences: all rows, the same on every rank.
            parts: int64 row indices of each forward pass of this rank.
            name: what the log-probs are called in an error.

        Returns:
            float32 [B, T], zero on rows that no rank was given.

        Raises:
            NonFiniteError: a log-prob is NaN or infinite.
        """
        shape, device = sequences.mask_BT.shape, sequences.mask_BT.device
        logprobs_BT = torch.zeros(shape, dtype=torch.float32, device=device)
        entropy_BT = torch.zeros_like(logprobs_BT)
        with self.sampler.context():
            for rows in parts:
                output = model(sequences.rows(rows).trimmed(), self.sampler.temperature)
                width = output.logprobs_BT.shape[1]
                logprobs_BT[rows, :width] = output.logprobs_BT
                entropy_BT[rows, :width] = output.entropy_BT
        ensure_finite(name, logprobs_BT, self.rl_step)
        # one rank holds each row and the others hold zeros: the sum is exact
        return PolicyOutput(self.ranks.sum(logprobs_BT), self.ranks.sum(entropy_BT))


def own_microbatches(rows: Tensor, count: int, ranks: Ranks) -> list[Tensor]:
    """The rows of this rank's ``count`` microbatches of a minibatch."""
    own = ranks.own(rows)
    return list(own.split(len(own) // count))


def microbatches(
    context: StepContext, loss: PolicyLoss, rollout: Rollout, rows: Tensor, update: int
) -> Iterator[Microbatch]:
    """This rank's microbatches of one optimizer minibatch.

    Args:
        context: sizes, sampler and ranks.
        loss: selects tokens over the minibatch, if it does so.
        rollout: the rollout that is trained on.
        rows: int64 rows of the minibatch, over all ranks.
        update: index of the optimizer update in the run.

    Yields:
        Rows with the minibatch's token count and, for a loss that selects tokens over a minibatch
        that is split, the selection.
    """
    experience = rollout.experience
    tokens = int(experience.mask_BT[rows].sum())
    batch = replace(experience.loss_batch, minibatch_tokens=tokens, update=update)
    parts = own_microbatches(rows, context.plan.microbatches, context.ranks)
    if loss.selects_tokens and len(parts) * context.ranks.world_size > 1:
        with context.stopwatch("selection"):
            passes = RankPasses(context.sampler, context.ranks, rollout.rl_step)
            selected_BT = select(loss, batch, experience.sequences, rows, parts, passes)
        batch = replace(batch, selected_BT=selected_BT)
    for part in parts:
        sequences = experience.sequences.rows(part).trimmed()
        yield Microbatch(sequences, batch.rows(part).columns(sequences.mask_BT.shape[1]))


@torch.no_grad()
def select(
    loss: PolicyLoss,
    batch: LossBatch,
    sequences: Sequences,
    rows: Tensor,
    parts: list[Tensor],
    passes: RankPasses,
) -> Tensor:
    """Let the loss select tokens over the whole minibatch (eq. 11 and 13); bool [B, T].

    Args:
        loss: a loss that selects tokens.
        batch: every row of the rollout.
        sequences: the same rows.
        rows: int64 rows of the minibatch, over all ranks.
        parts: this rank's microbatches of it.
        passes: makes forward passes where the current policy's log-probs select.
    """
    if loss.selection_logprobs == "current":
        output = passes.logprobs(passes.sampler.policy, sequences, parts)
    elif batch.entropies_BT is None:
        raise ValueError("batch.entropies_BT is None: selection by old log-probs needs it")
    else:
        output = PolicyOutput(batch.old_logprobs_BT, batch.entropies_BT)
    minibatch = PolicyOutput(output.logprobs_BT[rows], output.entropy_BT[rows])
    selected_BT = torch.zeros_like(batch.mask_BT)
    selected = batch.rows(rows)
    selected_BT[rows] = checked_selection(loss, loss.select(minibatch, selected), selected.mask_BT)
    return selected_BT
