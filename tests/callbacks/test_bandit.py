"""The bandit view's covariance by group accuracy, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lit_entropy.callbacks import RolloutCallback
from lit_entropy.callbacks.bandit import bandit_covariances
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience


class Bandit(RolloutCallback):
    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        return bandit_covariances(rollout, ranks)


def test_bandit_covariance_by_hand(
    run_rollouts: Callable[..., list[dict[str, float]]], ragged: Callable[..., Experience]
) -> None:
    # prompt 0 (1 of 3 right: low): log pi (-1, -2, -3), A (2, -1, -1): (2 + 0 + 1) / 3 = 1
    # prompt 1 (2 of 3 right: middle): log pi (-1, -1, -4), A (1, 1, -2): (1 + 1 + 4) / 3 = 2
    # prompt 2 (3 of 3 right): Cov 0; the filter masks it, the mean over all prompts keeps it
    experience = ragged(
        [[-1.0, -1.0], [-2.0], [-3.0], [-1.0], [-1.0], [-3.0, -5.0], [-1.0], [-2.0], [-1.0]],
        [2.0, -1.0, -1.0, 1.0, 1.0, -2.0, 0.0, 0.0, 0.0],
        [[1.0, 1.0], [1.0], [1.0], [1.0], [1.0], [1.0, 1.0], [1.0], [1.0], [1.0]],
        [True, False, False, True, True, False, True, True, True],
        [True] * 6 + [False] * 3,
    )
    (row,) = run_rollouts([Bandit()], [experience], 3)
    pi = np.exp([-1.0, -2.0, -3.0]) * np.array([2.0, -1.0, -1.0])
    low = float(np.mean(np.array([1.0, 0.0, -1.0]) * pi))
    weighted = np.exp([-1.0, -1.0, -4.0]) * np.array([1.0, 1.0, -2.0])
    middle = float(np.mean(np.array([1.0, 1.0, -2.0]) * weighted))
    assert row == pytest.approx(
        {
            "epoch": 0,
            "dynamics/bandit_covariance": (1 + 2 + 0) / 3,
            "dynamics/bandit_covariance/low": 1.0,
            "dynamics/bandit_covariance/middle": 2.0,
            "dynamics/bandit_covariance_theorem1": (low + middle) / 3,
            "dynamics/bandit_covariance_theorem1/low": low,
            "dynamics/bandit_covariance_theorem1/middle": middle,
        },
        rel=1e-6,
    )
