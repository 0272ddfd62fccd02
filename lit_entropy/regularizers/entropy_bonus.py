"""The classical entropy bonus with a fixed coefficient."""

import torch

from lit_entropy.functional.checks import OFF, require_non_negative
from lit_entropy.functional.masked import zero_outside
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class EntropyBonus(Regularizer):
    """-coef H a token, with the gradient of the exact entropy (Fig. 9 of 2505.22617)."""

    def __init__(self, coef: float = 0.005) -> None:
        """Set the weight.

        Args:
            coef: weight alpha >= 0; Fig. 9 tries 1e-4, 1e-3, 5e-3 (holds the entropy) and 1e-2
                (explodes).

        Raises:
            ValueError: if ``coef`` is negative or not finite.
        """
        super().__init__()
        self.coef = require_non_negative("coef", coef, OFF)

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token loss; see :class:`Regularizer`."""
        entropy_BT = zero_outside(output.entropy_BT, batch.mask_BT)
        coef = torch.tensor(self.coef, dtype=torch.float64, device=entropy_BT.device)
        return LossOutput(-self.coef * entropy_BT, {"entropy_coef": coef})
