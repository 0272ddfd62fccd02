"""GRPO's group-standardised advantage."""

from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.functional.advantage import group_standardize
from lit_entropy.functional.checks import require_non_negative


class GRPO(AdvantageEstimator):
    """(r - mean r) / (std r + epsilon) within the group (eq. 3; 2402.03300).

    The standard deviation is unbiased (divisor G - 1), as in verl, on which the paper's runs stand.
    """

    min_group_size = 2

    def __init__(self, epsilon: float = 1e-6) -> None:
        """Set the guard of the division.

        Args:
            epsilon: added to the standard deviation, >= 0.

        Raises:
            ValueError: if ``epsilon`` is not a finite number >= 0.
        """
        self.epsilon = require_non_negative("epsilon", epsilon)

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage per response; see :class:`AdvantageEstimator`."""
        return group_standardize(rewards_PG, self.epsilon).float()
