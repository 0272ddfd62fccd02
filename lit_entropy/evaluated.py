"""The evaluation half of the module: validation, test and prediction on held-out problems."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import lightning as L
import torch

from lit_entropy.evaluation import Evaluation
from lit_entropy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.sampling_plan import check_plan
from lit_entropy.stopwatch import Stopwatch


class EvaluatedModule(L.LightningModule):
    """A LightningModule whose policy is evaluated by an :class:`Evaluation`."""

    policy: Policy
    rollout: RolloutEngine
    temperature: float
    max_new_tokens: int

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.stopwatch = Stopwatch()
        self.rl_step = 0  # the RL step under way, or the last one finished; 0 for the base
        self.validation_records: list[dict[str, Any]] = []
        self.validation_samples: list[dict[str, Any]] = []

    def forward_context(self) -> AbstractContextManager[None]:
        """The trainer's precision context, which Lightning does not open in loader code."""
        return self.trainer.precision_plugin.forward_context()

    def log_values(self, values: dict[str, float]) -> None:
        """Log values that are already the same on every rank, against the RL step."""
        values = values | {"step": float(self.rl_step)}
        # as float64 tensors: Lightning would round Python floats to float32
        exact = {key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()}
        self.log_dict(exact, on_step=False, on_epoch=True, batch_size=1)

    def on_fit_start(self) -> None:
        """Check that the plan of the validations fits the run."""
        if self.evaluation.samples:
            check_plan(self.evaluation.sampling, self.trainer)

    def on_validation_epoch_start(self) -> None:
        """Forget the records of the last validation."""
        self.validation_records = []

    def validation_step(self, batch: list[Any], batch_idx: int) -> None:
        """Evaluate a batch of held-out problems."""
        with self.stopwatch("validation"):
            self.validation_records += self.evaluation.run(self, batch)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, avg@n and pass@k with standard errors."""
        self.log_values(self.validation_metrics())

    def validation_metrics(self, prefix: str = "val") -> dict[str, float]:
        """Summarise the records of all ranks and keep the samples for the tables."""
        records = self.evaluation.gather(self.validation_records)
        self.validation_samples = [record["sample"] for record in records]
        values = self.evaluation.summarise(records)
        return {f"{prefix}/{key}": value for key, value in values.items()}

    def on_test_epoch_start(self) -> None:
        """As validation."""
        self.on_validation_epoch_start()

    def test_step(self, batch: list[Any], batch_idx: int) -> None:
        """As validation."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """As validation, logged under ``test/``."""
        self.log_values(self.validation_metrics("test"))

    def predict_step(self, batch: list[Any], batch_idx: int) -> list[dict[str, Any]]:
        """Greedy responses with their rewards."""
        return [record["sample"] for record in self.evaluation.greedy(self, batch)]
