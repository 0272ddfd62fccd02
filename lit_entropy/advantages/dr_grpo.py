"""Dr. GRPO's advantage: centred, not scaled."""

from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.functional.advantage import group_mean_center


class DrGRPO(AdvantageEstimator):
    """r - mean r within the group (Dr. GRPO, 2503.20783): no bias toward easy or hard prompts.

    The paper's other change, no division by a response's own length, is how every loss here is
    aggregated.
    """

    min_group_size = 2

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage per response; see :class:`AdvantageEstimator`."""
        return group_mean_center(rewards_PG).float()
