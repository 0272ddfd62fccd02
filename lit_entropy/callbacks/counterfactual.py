"""Updates that were not made: on copies of policy and optimizer, from the same rollout."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_entropy.functional.masked import masked_sum, zero_outside
from lit_entropy.functional.surrogate import masked_log_ratio
from lit_entropy.types import Experience, LossOutput, PolicyOutput


def ratio_loss(policy: PolicyOutput, batch: Experience) -> LossOutput:
    """-r A of each token, without any clip; its gradient at r = 1 is the policy gradient."""
    log_ratio_BT = masked_log_ratio(policy.logprobs_BT, batch.old_logprobs_BT, batch.mask_BT)
    advantages_BT = zero_outside(batch.advantages_BT, batch.mask_BT)
    return LossOutput(-advantages_BT * log_ratio_BT.exp())


class Counterfactual:
    """A copy of policy, regularizers and optimizer (with its state) that can be trained apart.

    Every rank trains the same copy on the whole minibatch. Gradient clipping is the trainer's; the
    learning rate stays that of the copy, also under a schedule that moves within the RL step.

    Args:
        trainer: gives the optimizer and the gradient clipping.
        module: gives policy, regularizers, temperature and precision context.
        loss: token loss (policy output, batch) -> LossOutput.
    """

    def __init__(self, trainer: Trainer, module: LightningModule, loss: Any = ratio_loss) -> None:
        self._trainer: Any = trainer
        self._module: Any = module
        self._loss = loss
        # one deepcopy, so that the optimizer's copy holds the parameters of the policy's copy
        copies: tuple[Any, Any, Any] = copy.deepcopy(
            (self._module.policy, self._module.regularizers, trainer.optimizers[0])
        )
        self.policy, self._regularizers, self._optimizer = copies

    def parameters(self) -> list[Tensor]:
        """The trainable parameters of the policy's copy."""
        return trainable(self.policy)

    def gradient(self, experience: Experience, rows: Tensor, size: int) -> list[Tensor]:
        """Gradient of the loss over ``rows``, divided by their scored tokens, before clipping.

        Args:
            experience: the rollout.
            rows: int64 rows of the minibatch.
            size: rows of one forward pass.
        """
        self._optimizer.zero_grad(set_to_none=True)
        tokens = int(experience.mask_BT[rows].sum())
        experience = replace(experience, minibatch_tokens=tokens)
        for part in rows.split(size):
            batch = experience.rows(part).trimmed()
            with torch.enable_grad(), self._module.forward_context():
                policy = self.policy(batch, self._module.temperature)
                terms = [term(policy, batch) for term in (self._loss, *self._regularizers)]
                loss_BT = sum(term.token_loss_BT for term in terms)
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
            clip = self._trainer.gradient_clip_val
            if clip is not None:
                algorithm = self._trainer.gradient_clip_algorithm
                arguments = () if algorithm is None else (algorithm,)
                self._trainer.precision_plugin.clip_gradients(self._optimizer, clip, *arguments)
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
