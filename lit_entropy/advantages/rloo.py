"""RLOO: REINFORCE with a leave-one-out baseline."""

from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.functional.advantage import leave_one_out


class RLOO(AdvantageEstimator):
    """r_i minus the mean reward of the other samples of its prompt (RLOO, 2402.14740)."""

    min_group_size = 2

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage per response; see :class:`AdvantageEstimator`."""
        return leave_one_out(rewards_PG).float()
