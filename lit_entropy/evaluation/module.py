"""The evaluation half of the module: validation, test and prediction on held-out problems."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.plan import check_plan
from lit_entropy.evaluation.ranks import Batch, most_batches, rank_batches
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.tracking.stopwatch import Stopwatch

#: Share of responses that could not be checked from which a validation warns.
UNCHECKED_LIMIT = 0.01


class EvaluatedModule(L.LightningModule):
    """A LightningModule whose policy is evaluated by an :class:`Evaluation`."""

    policy: Policy
    engine: RolloutEngine
    temperature: float
    max_new_tokens: int

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.stopwatch = Stopwatch()
        self.rl_step = 0  # the RL step under way, or the last one finished; 0 for the base
        self._whole = ExitStack()
        self._batches = 0  # of this validation, answered so far
        self._summary: dict[str, float] | None = None  # of the last validation, once it is made
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
        self._begin()

    def _begin(self) -> None:
        """Give the engine its weights; hold them whole for one that samples with the policy's own.

        Such an engine makes as many passes as the longest response of its rank has tokens. Any
        other leaves a sharded policy as it is, which may be too large to be held whole.
        """
        self._whole.close()
        self._batches, self._summary = 0, None
        self.engine.prepare(self.policy)
        if self.engine.runs_policy:
            self._whole.enter_context(whole_parameters(self.policy))

    @property
    def _in_step(self) -> bool:
        """Whether an answer is a collective: a sharded policy is not held whole."""
        return self.device_mesh is not None and not self.engine.runs_policy

    def _answer(self, batch: Batch) -> list[dict[str, Any]]:
        """Evaluate a batch, in step with the other ranks where they must be."""
        peers: list[Batch] = []
        if self._in_step:
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            peers = rank_batches(
                data.validation_problems,
                self.trainer.world_size,
                data.validation_batch,
                self._batches,
            )
        self._batches += 1
        run = self.evaluation.greedy if self.trainer.predicting else self.evaluation.run
        # weights that are gathered in inference mode could not be trained with later
        with torch.inference_mode(torch.is_inference_mode_enabled() and not peers), torch.no_grad():
            return run(self, batch, peers)

    def _finish(self) -> None:
        """Keep in step with the ranks that have more batches, and let go of whole weights."""
        if self._in_step:
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            size = len(data.validation_problems)
            while self._batches < most_batches(size, data.validation_batch, self.trainer):
                self._answer([])
        self._whole.close()

    def on_predict_epoch_start(self) -> None:
        """As validation."""
        self._begin()

    def on_predict_epoch_end(self) -> None:
        """As validation."""
        self._finish()

    def validation_step(self, batch: list[Any], batch_idx: int) -> None:
        """Evaluate a batch of held-out problems."""
        with self.stopwatch("validation"):
            self.validation_records += self._answer(batch)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, avg@n and pass@k with standard errors."""
        values = self.validation_metrics()
        if self.logs_validation:
            self.log_values(values)

    def validation_metrics(self, prefix: str = "val") -> dict[str, float]:
        """Summarise the records of all ranks and keep them and the samples for the tables.

        Asked again after the same validation, it gives what it has found.
        """
        if self._summary is None:
            self._summary = self._summarise(prefix)
        return {f"{prefix}/{key}": value for key, value in self._summary.items()}

    def _summarise(self, prefix: str) -> dict[str, float]:
        self._finish()
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
        return values

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
        return [record["sample"] for record in self._answer(batch)]
