"""The contract of a callback that measures the rollout of each RL step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from lit_entropy.contracts import named_numbers, no_stop
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.step.loader import ProblemBatches
from lit_entropy.step.minibatch import Microbatch
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tracking.step_axis import StepAxis
from lit_entropy.tracking.stopwatch import Stopwatch
from lit_entropy.types import Experience, Problem


class TrainedModule(Protocol):
    """What a callback reads of the module that is trained.

    Attributes:
        regularizers: losses that are added to the policy loss.
        rollout: that of this RL step, the same on every rank.
        stopwatch: adds up the time of each part.
        step_axis: the rows of the run, one per RL step.
    """

    regularizers: nn.ModuleList
    rollout: Rollout
    stopwatch: Stopwatch
    step_axis: StepAxis

    @property
    def validation_samples(self) -> list[dict[str, object]]:
        """The shown responses of the last validation, as plain rows."""

    @property
    def ranks(self) -> Ranks:
        """This process among all."""

    @property
    def sampler(self) -> Sampler:
        """The policy with its engine."""

    def validation_metrics(self) -> dict[str, float]:
        """The summary of the last validation."""

    def log_values(self, values: dict[str, float]) -> None:
        """Add numbers that are the same on every rank to the row of the RL step."""


class RunData(Protocol):
    """What a callback reads of the data module."""

    validation_problems: Sequence[Problem]

    @property
    def plan(self) -> StepPlan:
        """The sizes of an RL step."""

    @property
    def source(self) -> PromptSource:
        """Encodes prompts."""

    def val_dataloader(self) -> ProblemBatches:
        """This rank's share of the held-out problems."""


class TrainedRun(Protocol):
    """What a callback reads of the trainer that Lightning sets, but does not declare."""

    datamodule: RunData
    callbacks: list[Callback]
    fast_dev_run: bool | int


def trained_module(pl_module: object) -> TrainedModule:
    """The module of a hook with what callbacks read of it."""
    return cast(TrainedModule, pl_module)


def trained_run(trainer: object) -> TrainedRun:
    """The trainer of a hook with what callbacks read of it."""
    return cast(TrainedRun, trainer)


class RolloutCallback(Callback, ABC):
    """Calls :meth:`on_rollout` once per RL step, on every rank, before the first microbatch.

    The module offers ``rollout`` (the record of this RL step, the same on every rank), ``ranks``
    and ``stopwatch(name)``, a context manager that adds up time.
    """

    @abstractmethod
    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> Mapping[str, float]:
        """Measure a rollout; runs without gradients and is timed as ``diagnostics``.

        Args:
            rollout: the rollout of this RL step, of all ranks.
            ranks: this process among all, for sums over them.

        Returns:
            Numbers to log by key, reduced over the ranks, hence equal on all of them.
        """

    def on_updated(self) -> Mapping[str, float]:
        """Measure the policy after the last update of the RL step; nothing by default.

        Returns:
            As :meth:`on_rollout`; logged in the row of the same RL step.
        """
        return {}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Microbatch, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            module = trained_module(pl_module)
            with module.stopwatch("diagnostics"), torch.no_grad():
                with no_stop(self, "on_rollout"):
                    given = self.on_rollout(module.rollout, module.ranks)
                values = named_numbers(self, "on_rollout", given)
                module.log_values(values)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = trained_module(pl_module)
        with module.stopwatch("diagnostics"), torch.no_grad():
            with no_stop(self, "on_updated"):
                given = self.on_updated()
            module.log_values(named_numbers(self, "on_updated", given))


def own_share(rollout: Rollout, ranks: Ranks) -> Experience:
    """The rows of this rank's prompts, those p with p % world_size == rank."""
    experience = rollout.experience
    return experience if ranks.world_size == 1 else experience.rows(own_rows(rollout, ranks))


def own_rows(rollout: Rollout, ranks: Ranks) -> Tensor:
    """Indices int64 [B / world_size, about] of the rows of this rank's prompts."""
    prompt_B = torch.arange(len(rollout.experience)) // rollout.group_size
    return torch.nonzero(prompt_B % ranks.world_size == ranks.rank).flatten()
