"""The record of one RL step's rollout."""

import math
from dataclasses import dataclass

from torch import Tensor

from lit_entropy.types import Experience


@dataclass(frozen=True)
class Rollout:
    """What an RL step trains on, the same on every rank.

    Attributes:
        rl_step: number of the RL step, from 1.
        experience: every sampled group of all ranks, also those that the group filter masks or
            replaces.
        group_size: samples (G) per prompt; rows are prompt-major.
        train_rows: int64 rows that the minibatches are made of, whole groups.
        entropy: token mean of the exact entropies of all response tokens, nats.
        tokens: number of response tokens.
        metrics: numbers to log, by key.

    Raises:
        ValueError: the rows are not whole groups, no response has a token, or the entropy is not
            finite.
    """

    rl_step: int
    experience: Experience
    group_size: int
    train_rows: Tensor
    entropy: float
    tokens: int
    metrics: dict[str, float]

    def __post_init__(self) -> None:
        if len(self.experience) % self.group_size:
            raise ValueError(
                f"experience has {len(self.experience)} rows, which is no multiple of group_size "
                f"{self.group_size}: give whole groups, prompt-major"
            )
        if self.tokens < 1:
            raise ValueError("experience.response_mask_BT is empty: no response has a token")
        if not math.isfinite(self.entropy):
            raise ValueError(
                f"non-finite entropy {self.entropy} of the rollout of RL step {self.rl_step}: find "
                "the NaN or infinity in experience.entropies_BT"
            )
