"""Components that turn non-finite, named by class_path in tests."""

from __future__ import annotations

import os
import signal
from typing import Any

import lightning as L
import torch

from lit_entropy.advantages import AdvantageEstimator
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.types import Problem


class NaNReward(ChainArithmetic):
    """Scores every response with NaN."""

    def reward(self, problem: Problem, response: str) -> float:
        return float("nan")


class NothingToTrain(ChainArithmetic):
    """Holds out all problems that it has."""

    def train_problems(self) -> list[Problem]:
        return []


class OneId(ChainArithmetic):
    """Gives every held-out problem one id."""

    def validation_problems(self) -> list[Problem]:
        return [problem._replace(id=7) for problem in super().validation_problems()]


class InfiniteAdvantage(AdvantageEstimator):
    """Divides by a standard deviation of zero."""

    def __call__(self, rewards_PG: torch.Tensor) -> torch.Tensor:
        return (rewards_PG + 1) / torch.zeros(())


class Terminated(L.Callback):
    """Sends its process SIGTERM during the first batch of a prediction."""

    def on_predict_batch_start(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
