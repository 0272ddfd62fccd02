"""The evaluation half of the module: validation, test and prediction on held-out problems."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from typing import Protocol

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.evaluation.decode import Responder
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.keys import check_keys
from lit_entropy.evaluation.prompts import HeldOutPrompts
from lit_entropy.evaluation.ranks import Batch, most_batches, rank_batches
from lit_entropy.evaluation.records import Record
from lit_entropy.evaluation.sampling import check_ends, ends_note, has_greedy_ones, samples_now
from lit_entropy.evaluation.unread import warn_unread
from lit_entropy.evaluation.whole import require_every_batch
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.step.sampler import Sampler
from lit_entropy.step.settings import FULL_PRECISIONS
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tracking.means import exact
from lit_entropy.tracking.step_axis import StepAxis
from lit_entropy.tracking.stopwatch import Stopwatch
from lit_entropy.types import Problem

#: Share of responses that could not be checked from which a validation warns.
UNCHECKED_LIMIT = 0.01


class HeldOut(Protocol):
    """What an evaluation reads of the data module."""

    task: Task
    validation_problems: Sequence[Problem]
    validation_batch: int

    @property
    def source(self) -> PromptSource:
        """Encodes prompts."""


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
        self.step_axis = StepAxis()
        self.rl_step = 0  # the RL step under way, or the last one finished; 0 for the base
        self._whole = ExitStack()
        self._batches = 0  # of this validation, answered so far
        self._summary: dict[str, float] | None = None  # of the last validation, once it is made
        self.logs_validation = True  # False where several policies share one run folder
        self.policy_name = ""  # that of the one that is evaluated, where they do
        self.validation_records: list[Record] = []  # this rank's
        self.gathered_records: list[Record] = []  # all ranks', of the last validation
        self._prompts = HeldOutPrompts()

    @property
    def validation_samples(self) -> list[dict[str, object]]:
        """The shown responses of the last validation, as plain rows for files and tables."""
        return _shown(self.gathered_records)

    def forward_context(self) -> AbstractContextManager[None]:
        """The trainer's precision context, which Lightning does not open in loader code."""
        return self.trainer.precision_plugin.forward_context()

    @property
    def ranks(self) -> Ranks:
        """This process among all that train together."""
        return Ranks(self.trainer.global_rank, self.trainer.world_size, self.device)

    @property
    def sampler(self) -> Sampler:
        """The policy with its engine, at the run's temperature and precision."""
        return Sampler(
            policy=self.policy,
            engine=self.engine,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            context=self.forward_context,
            full_precision=self.trainer.precision_plugin.precision in FULL_PRECISIONS,
        )

    @property
    def held_out(self) -> HeldOut:
        """The data module, as far as an evaluation reads it."""
        data: HeldOut = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def response_limits(self, split: str) -> dict[str, int]:
        """Longest responses in tokens, by the name of the setting.

        Args:
            split: ``training`` or ``validation``, whose responses may be longer.
        """
        limits = {"model.max_new_tokens": self.max_new_tokens}
        return limits | (self.evaluation.limits() if split == "validation" else {})

    def log_values(self, values: dict[str, float]) -> None:
        """Log values that are already the same on every rank, against the RL step.

        In a fit they are part of its row, and in ``trainer.callback_metrics`` at once, where early
        stopping and checkpoints look them up.
        """
        numbers = exact(values | {"step": float(self.rl_step)})
        if self.trainer.state.fn != TrainerFn.FITTING:
            self.log_dict(numbers, on_step=False, on_epoch=True, batch_size=1)
        elif not self.trainer.sanity_checking:
            self.step_axis.add(values)
            self.trainer.callback_metrics.update(numbers)

    def on_fit_start(self) -> None:
        """Check that the samplings of the validations fit the run, its problems and its metrics."""
        trainer, evaluation = self.trainer, self.evaluation
        every, steps = trainer.check_val_every_n_epoch, trainer.max_epochs
        if evaluation.samples_at_all:
            check_ends(evaluation.sampling, every, steps)
        self._check_sources()
        if trainer.limit_val_batches:
            parts = [*trainer.callbacks, self]  # type: ignore[attr-defined]
            schedules, problems = trainer.lr_scheduler_configs, self.held_out.validation_problems
            greedy_ones = has_greedy_ones(evaluation.sampling, every, steps)
            check_keys(evaluation, problems, parts, schedules, greedy_ones)
            note = ends_note(evaluation.sampling, every, steps, parts)
            if note and evaluation.samples_at_all:
                rank_zero_warn(note)

    def on_validation_start(self) -> None:
        """Outside a fit, check that the samplings fit the problems."""
        if not self.trainer.training:
            self._check_sources()

    def on_test_start(self) -> None:
        """As validation."""
        self._check_sources()

    def _check_sources(self) -> None:
        self.evaluation.check_sources(self.held_out.validation_problems)

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

    @property
    def _samples_now(self) -> bool:
        """Whether this evaluation samples responses beside the greedy ones."""
        trainer = self.trainer
        fitting = trainer.state.fn == TrainerFn.FITTING
        every, steps = trainer.check_val_every_n_epoch, trainer.max_epochs
        return samples_now(self.evaluation.sampling, self.rl_step, fitting, every, steps)

    def _answer(self, batch: Batch) -> list[Record]:
        """Evaluate a batch, in step with the other ranks where they must be."""
        data, peers = self.held_out, list[Batch]()
        if self._in_step:
            ranks, size = self.trainer.world_size, data.validation_batch
            peers = rank_batches(data.validation_problems, ranks, size, self._batches)
        self._batches += 1
        encode = data.source.encode
        responder = Responder(self.sampler, data.task, encode, self.rl_step, self._prompts)
        # weights that are gathered in inference mode could not be trained with later
        with torch.inference_mode(torch.is_inference_mode_enabled() and not peers), torch.no_grad():
            if self.trainer.predicting:
                return self.evaluation.greedy(responder, batch, peers)
            return self.evaluation.run(responder, batch, self._samples_now, peers)

    def _finish(self) -> None:
        """Keep in step with the ranks that have more batches, and let go of whole weights."""
        if self._in_step:
            trainer, data = self.trainer, self.held_out
            limit = trainer.limit_test_batches if trainer.testing else trainer.limit_val_batches
            limit = trainer.limit_predict_batches if trainer.predicting else limit
            count, size = len(data.validation_problems), data.validation_batch
            while self._batches < most_batches(count, trainer.world_size, size, limit):
                self._answer([])
        self._whole.close()

    def on_predict_epoch_start(self) -> None:
        """As validation."""
        self._begin()

    def on_predict_batch_end(
        self, outputs: object, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """End at SIGTERM, which Lightning notes and asks for in its other loops alone."""
        more = batch_idx + 1 < sum(self.trainer.num_predict_batches)
        if self.trainer.received_sigterm and more:
            raise SIGTERMException

    def on_predict_epoch_end(self) -> None:
        """As validation."""
        self._require_every_batch()
        self._finish()

    def _require_every_batch(self) -> None:
        trainer = self.trainer
        if trainer.predicting:
            predicts = trainer.predict_loop
            require_every_batch(predicts.batch_progress.current.completed, predicts.max_batches)
            return
        within = trainer.fit_loop.epoch_loop.val_loop  # of a fit
        alone = trainer.test_loop if trainer.testing else trainer.validate_loop
        evaluates = within if trainer.state.fn is TrainerFn.FITTING else alone
        require_every_batch(evaluates.batch_progress.current.completed, evaluates.max_batches)

    def validation_step(self, batch: list[Problem], batch_idx: int) -> None:
        """Evaluate a batch of held-out problems."""
        with self.stopwatch("validation"):
            self.validation_records += self._answer(batch)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, avg@n and pass@k with standard errors.

        Raises:
            PartError: a part has cut the evaluation short.
        """
        self._require_every_batch()
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
        records = self.evaluation.gather(self.validation_records, self.ranks)
        self.gathered_records = records
        values = self.evaluation.summarise(records)
        if self.trainer.state.fn != TrainerFn.FITTING:  # a fit is watched by its LearningAlarm
            warn_unread(records, self.held_out.task)
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

    def test_step(self, batch: list[Problem], batch_idx: int) -> None:
        """As validation."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """As validation, logged under ``test/``."""
        self._require_every_batch()
        self.log_values(self.validation_metrics("test"))

    def predict_step(self, batch: list[Problem], batch_idx: int) -> list[dict[str, object]]:
        """Greedy responses with their rewards."""
        return _shown(self._answer(batch))


def _shown(records: Sequence[Record]) -> list[dict[str, object]]:
    """The responses in full, as plain rows for files and tables."""
    return [asdict(record.shown) for record in records if record.shown]
