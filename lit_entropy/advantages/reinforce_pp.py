"""REINFORCE++: advantages whitened over the whole batch."""

from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.functional.advantage import batch_whiten, group_mean_center
from lit_entropy.functional.checks import require_non_negative


class ReinforcePlusPlus(AdvantageEstimator):
    """(r - mean r) / std r over all responses of the RL step (REINFORCE++, 2501.03262).

    The variant without discount or in-reward KL, whitened over responses (not over tokens, so that
    long responses do not weigh more); ``group_baseline`` first subtracts each prompt's mean, the
    paper's "REINFORCE++ w/ baseline".
    """

    def __init__(self, group_baseline: bool = False, epsilon: float = 1e-8) -> None:
        """Choose the variant.

        Args:
            group_baseline: subtract the mean reward of the prompt's samples before whitening.
            epsilon: added to the variance, >= 0.

        Raises:
            ValueError: if ``epsilon`` is not a finite number >= 0.
        """
        self.group_baseline = group_baseline
        self.epsilon = require_non_negative("epsilon", epsilon)
        self.min_group_size = 2 if group_baseline else 1

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage per response; see :class:`AdvantageEstimator`."""
        centred_PG = group_mean_center(rewards_PG) if self.group_baseline else rewards_PG
        return batch_whiten(centred_PG, self.epsilon).float()
