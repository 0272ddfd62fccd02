"""The contract of a callback that measures the rollout of each RL step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_entropy.types import Experience


class RolloutCallback(Callback, ABC):
    """Calls :meth:`on_rollout` once an RL step, on every rank, before the first microbatch.

    The module offers ``experience`` (the rollout of all ranks, the same on every rank),
    ``group_size``, and optionally ``stopwatch(name)``, a context manager that adds up time.
    """

    @abstractmethod
    def on_rollout(self, trainer: Trainer, module: LightningModule, experience: Experience) -> None:
        """Measure a rollout; runs without gradients and is timed as ``diagnostics``."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx != 0:
            return
        stopwatch = getattr(pl_module, "stopwatch", None)
        timer = nullcontext() if stopwatch is None else stopwatch("diagnostics")
        with timer, torch.no_grad():
            self.on_rollout(trainer, pl_module, cast(Experience, pl_module.experience))

    def record(self, module: LightningModule, values: dict[str, float]) -> None:
        """Log numbers that are already reduced over ranks, hence equal on all of them.

        (Lightning replaces a callback's ``log`` and ``log_dict`` by the module's.)
        """
        # as float64 tensors: Lightning would round Python floats to float32
        exact = {key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()}
        module.log_dict(
            exact,
            on_step=False,
            on_epoch=True,
            batch_size=1,
            sync_dist=False,
            rank_zero_only=False,
        )


def group_size_of(module: LightningModule, experience: Experience) -> int:
    """``module.group_size``, checked against the rollout.

    Raises:
        ValueError: the rollout's rows are not whole groups.
    """
    group_size = cast(int, module.group_size)
    if len(experience) % group_size:
        raise ValueError(
            f"experience has {len(experience)} rows, which is no multiple of group_size "
            f"{group_size}: gather whole groups, prompt-major"
        )
    return group_size


def own_share(trainer: Trainer, experience: Experience, group_size: int) -> Experience:
    """The rows of this rank's prompts, those p with p % world_size == global_rank."""
    if trainer.world_size == 1:
        return experience
    return experience.rows(own_rows(trainer, len(experience), group_size))


def own_rows(trainer: Trainer, rows: int, group_size: int) -> Tensor:
    """Indices int64 [B / world_size, about] of the rows of this rank's prompts."""
    prompt_B = torch.arange(rows) // group_size
    return torch.nonzero(prompt_B % trainer.world_size == trainer.global_rank).flatten()


def is_mine(trainer: Trainer, index: int) -> bool:
    """Whether this rank computes statistic ``index`` of those that need the whole rollout.

    Order statistics and centred products have no exact split by rows without sending the rollout,
    which every rank holds anyway: they are dealt out over the ranks, one statistic a rank.
    """
    return index % trainer.world_size == trainer.global_rank


def required(experience: Experience, field: str) -> Tensor:
    """A tensor of the rollout that is optional in ``Experience``.

    Raises:
        ValueError: the field is None.
    """
    value = getattr(experience, field)
    if value is None:
        raise ValueError(f"experience.{field} is None: fill it when the rollout is collected")
    return cast(Tensor, value)
