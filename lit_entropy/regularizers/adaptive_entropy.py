"""Skywork-OR1's adaptive entropy control."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lit_entropy.functional.checks import require_non_negative
from lit_entropy.functional.masked import zero_outside
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class AdaptiveEntropy(Regularizer):
    """-c H a token while the rollout's entropy is at or below a target (2505.22312).

    Before the updates of an RL step: c += step if H < target, else c -= step, clipped to
    [min_coef, max_coef]; the bonus is applied in that step only if H <= target.
    """

    coef: Tensor
    active: Tensor

    def __init__(
        self,
        target: float = 0.2,
        step: float = 1e-4,
        max_coef: float = 0.005,
        min_coef: float = 0.0,
        initial_coef: float = 0.0,
    ) -> None:
        """Set the controller.

        Args:
            target: token-mean entropy to hold, nats (0.2 in Skywork-OR1's 7B script).
            step: change of the coefficient an RL step (1e-4 in Skywork-OR1, 0.005 in TRL).
            max_coef: largest coefficient.
            min_coef: smallest coefficient.
            initial_coef: coefficient before the first RL step.

        Raises:
            ValueError: on a negative value, or if not min_coef <= initial_coef <= max_coef.
        """
        super().__init__()
        self.target = require_non_negative("target", target)
        self.step = require_non_negative("step", step)
        self.max_coef = require_non_negative("max_coef", max_coef)
        self.min_coef = require_non_negative("min_coef", min_coef)
        if not min_coef <= initial_coef <= max_coef:
            raise ValueError(
                f"initial_coef={initial_coef!r} is outside [min_coef, max_coef] = "
                f"[{min_coef!r}, {max_coef!r}]: start between the bounds"
            )
        self.register_buffer("coef", torch.tensor(initial_coef, dtype=torch.float64))
        self.register_buffer("active", torch.tensor(False))

    def on_rollout(self, entropy: float) -> None:
        """Move the coefficient one step; see :class:`Regularizer`."""
        change = self.step if entropy < self.target else -self.step
        self.coef.add_(change).clamp_(self.min_coef, self.max_coef)
        self.active.fill_(entropy <= self.target)

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token loss; see :class:`Regularizer`."""
        applied = torch.where(self.active, self.coef, torch.zeros_like(self.coef))
        entropy_BT = zero_outside(output.entropy_BT, batch.mask_BT)
        # A zero-dimensional float64 factor leaves the product in the entropy's own dtype.
        return LossOutput(-applied * entropy_BT, {"entropy_coef": applied})

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AdaptiveEntropy:
        # Half-precision plugins cast every buffer; bfloat16 would lose most of the small step.
        coef = self.coef.clone()
        super()._apply(fn, recurse)
        self.coef = coef.to(self.coef.device)
        return self
