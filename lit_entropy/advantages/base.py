"""The contract of an advantage estimator."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class AdvantageEstimator(ABC):
    """Base of every advantage estimator. Subclass it in any file and name it by ``class_path``."""

    #: Smallest number of samples a prompt for which the estimator is defined.
    min_group_size: int = 1

    @abstractmethod
    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage a response.

        Args:
            rewards_PG: float32 rewards of G samples for each of P prompts (the whole RL step,
                over all ranks, so that batch statistics do not depend on the rank count).

        Returns:
            float32 advantages [P, G].
        """
