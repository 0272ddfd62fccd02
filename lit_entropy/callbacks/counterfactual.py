"""Updates that were not made: on copies of policy and optimizer, from the same rollout."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_entropy.contracts import checked_loss
from lit_entropy.functional.masked import masked_sum, zero_outside
from lit_entropy.functional.surrogate import masked_log_ratio
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import Experience, LossBatch, LossOutput, PolicyOutput


def ratio_loss(output: PolicyOutput, batch: LossBatch) -> LossOutput:
    """-r A of each token, without any clip; its gradient at r = 1 is the policy gradient."""
    log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, batch.mask_BT)
    advantages_BT = zero_outside(batch.advantages_BT, batch.mask_BT)
    return LossOutput(-advantages_BT * log_ratio_BT.exp())


TokenLoss = Callable[[PolicyOutput, LossBatch], LossOutput]


class Updates(NamedTuple):
    """How the policy is updated.

    Attributes:
        regularizers: losses that are added to the policy loss.
        optimizer: the optimizer with its state.
        clip: clips the gradients of an optimizer's parameters.
    """

    regularizers: nn.ModuleList
    optimizer: Optimizer
    clip: Callable[[Optimizer], None]


class Counterfactual:
    """A copy of policy, regularizers and optimizer (with its state) that can be trained apart.

    Every rank trains the same copy on the whole minibatch. Gradient clipping is the trainer's; the
    learning rate stays that of the copy, also under a schedule that moves within the RL step.

    Args:
        sampler: gives policy, temperature and precision context.
        updates: how the policy is updated.
        loss: token loss (policy output, batch) -> LossOutput.
    """

    def __init__(self, sampler: Sampler, updates: Updates, loss: TokenLoss = ratio_loss) -> None:
        self._sampler = sampler
        self._clip = updates.clip
        # one deepcopy, so that the optimizer's copy holds the parameters of the policy's copy
        self.policy, regularizers, self._optimizer = copy.deepcopy(
            (sampler.policy, updates.regularizers, updates.optimizer)
        )
        self._losses: list[TokenLoss] = [loss, *regularizers]

    def parameters(self) -> list[Tensor]:
        """The trainable parameters of the policy's copy."""
        return trainable(self.policy)

    def gradient(self, experience: Experience, rows: Tensor, size: int) -> list[Tensor]:
        """Gradient of the loss over ``rows``, by their tokens of the objective, before clipping.

        Args:
            experience: the rollout.
            rows: int64 rows of the minibatch.
            size: rows of one forward pass.
        """
        self._optimizer.zero_grad(set_to_none=True)
        tokens = int(experience.mask_BT[rows].sum())
        whole = replace(experience.loss_batch, minibatch_tokens=tokens)
        for part in rows.split(size):
            sequences = experience.sequences.rows(part).trimmed()
            batch = whole.rows(part).columns(sequences.mask_BT.shape[1])
            with torch.enable_grad(), self._sampler.context():
                output = self.policy(sequences, self._sampler.temperature)
                losses = [
                    checked_loss(term, term(output, batch), batch.mask_BT).token_loss_BT
                    for term in self._losses
                ]
                loss_BT = sum(losses[1:], losses[0])
                loss = masked_sum(loss_BT, batch.mask_BT) * (1 / max(tokens, 1))
            loss.backward()
        return [
            torch.zeros_like(value) if value.grad is None else value.grad.clone()
            for value in self.parameters()
        ]

    def train(
        self, experience: Experience, minibatches: Iterable[Tensor], size: int
    ) -> list[Tensor]:
        """One optimizer step on each minibatch; returns the last gradient, before clipping."""
        gradient: list[Tensor] = []
        for rows in minibatches:
            gradient = self.gradient(experience, rows, size)
            self._clip(self._optimizer)
            self._optimizer.step()
        return gradient

    @torch.no_grad()
    def move(self, start: Sequence[Tensor], direction: Sequence[Tensor], norm: float) -> None:
        """Set the parameters to ``start`` plus ``direction`` rescaled to ``norm`` (0 stays 0)."""
        length = float(torch.nn.utils.get_total_norm(list(direction)))
        factor = norm / length if length > 0 else 0.0
        for value, origin, step in zip(self.parameters(), start, direction, strict=True):
            value.copy_(origin + factor * step)


def trainable(policy: torch.nn.Module) -> list[Tensor]:
    """The parameters of a policy that are trained."""
    return [value for value in policy.parameters() if value.requires_grad]
