"""The evaluation half of the module: validation, test and prediction on held-out problems."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.evaluation import Evaluation
from lit_entropy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.sampling_plan import check_plan
from lit_entropy.sharding import whole_parameters
from lit_entropy.stopwatch import Stopwatch

#: Share of responses that could not be checked from which a validation warns.
UNCHECKED_LIMIT = 0.01


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
        self._whole = ExitStack()
        self.logs_validation = True  # False where several policies share one run folder
        self.validation_records: list[dict[str, Any]] = []  # this rank's
        self.gathered_records: list[dict[str, Any]] = []  # all ranks', of the last validation
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
        """Check that the plan of the validations fits the run and its problems."""
        if self.evaluation.samples_at_all:
            check_plan(self.evaluation.sampling, self.trainer)
        self._check_sources()

    def on_validation_start(self) -> None:
        """Outside a fit, check that the plan fits the problems."""
        if not self.trainer.training:
            self._check_sources()

    def on_test_start(self) -> None:
        """As validation."""
        self._check_sources()

    def _check_sources(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.evaluation.check_sources(data.validation_problems)

    def on_validation_epoch_start(self) -> None:
        """Forget the records of the last validation."""
        self.validation_records = []
        self._hold_whole()

    def _hold_whole(self) -> None:
        """Hold whole parameters for a validation, whose batches differ in number by rank."""
        self._whole.close()
        self.rollout.prepare(self.policy)
        self._whole.enter_context(whole_parameters(self.policy))

    def on_predict_epoch_start(self) -> None:
        """As validation."""
        self._hold_whole()

    def on_predict_epoch_end(self) -> None:
        """As validation."""
        self._whole.close()

    def validation_step(self, batch: list[Any], batch_idx: int) -> None:
        """Evaluate a batch of held-out problems."""
        with self.stopwatch("validation"):
            self.validation_records += self.evaluation.run(self, batch)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, avg@n and pass@k with standard errors."""
        values = self.validation_metrics()
        if self.logs_validation:
            self.log_values(values)

    def validation_metrics(self, prefix: str = "val") -> dict[str, float]:
        """Summarise the records of all ranks and keep them and the samples for the tables."""
        self._whole.close()
        records = self.evaluation.gather(self.validation_records)
        self.gathered_records = records
        self.validation_samples = [record["sample"] for record in records]
        values = self.evaluation.summarise(records)
        for key in ("unchecked", "unchecked_sampled"):
            if values.get(key, 0.0) > UNCHECKED_LIMIT:
                rank_zero_warn(
                    f"{prefix}/{key}={values[key]:.3f}: so many responses could not be checked. "
                    "They count neither as right nor as wrong; see the checker's limits."
                )
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
