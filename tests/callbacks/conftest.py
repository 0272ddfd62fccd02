"""A real, tiny Trainer run whose module offers one given rollout an RL step."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from experiences import rollout_of, whole_experience
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.tracking.means import exact
from lit_entropy.types import Experience


class RolloutModule(LightningModule):
    """Offers ``experiences[current_epoch]``; two microbatches an RL step, one weight."""

    def __init__(self, experiences: Sequence[Experience], group_size: int) -> None:
        super().__init__()
        self.experiences = list(experiences)
        self.group_size = group_size
        self.timed: list[str] = []
        self.weight = torch.nn.Parameter(torch.ones(1))

    @contextmanager
    def stopwatch(self, name: str) -> Iterator[None]:
        self.timed.append(name)
        yield

    def log_values(self, values: dict[str, float]) -> None:
        self.log_dict(exact(values), on_step=False, on_epoch=True, batch_size=1)

    def train_dataloader(self) -> list[int]:
        return [0, 1]

    def on_train_epoch_start(self) -> None:
        experience = self.experiences[self.current_epoch].to(self.device)
        self.rollout = rollout_of(experience, self.group_size, self.current_epoch + 1)

    @property
    def ranks(self) -> Ranks:
        return Ranks(self.trainer.global_rank, self.trainer.world_size, self.device)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def read_rows(file: Path) -> list[dict[str, float]]:
    """One dict an epoch, without the empty cells."""
    with file.open() as lines:
        return [
            {key: float(value) for key, value in row.items() if value and key != "step"}
            for row in csv.DictReader(lines)
        ]


@pytest.fixture
def run_rollouts(tmp_path: Path) -> Callable[..., list[dict[str, float]]]:
    """``run_rollouts(callbacks, experiences, group_size, **trainer_options)`` -> logged rows."""
    count = iter(range(1000))

    def run(
        callbacks: Sequence[Callback],
        experiences: Sequence[Experience],
        group_size: int,
        ckpt_path: str | None = None,
        **options: Any,
    ) -> list[dict[str, float]]:
        logger = CSVLogger(tmp_path, name=f"run{next(count)}", version=0)
        defaults: dict[str, Any] = {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": len(experiences),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "log_every_n_steps": 1,
        }
        trainer = Trainer(logger=logger, callbacks=list(callbacks), **(defaults | options))
        trainer.fit(RolloutModule(experiences, group_size), ckpt_path=ckpt_path)
        return read_rows(Path(logger.log_dir) / "metrics.csv")

    return run


def _padded(rows: Sequence[Sequence[float]], fill: float) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])


@pytest.fixture
def ragged() -> Callable[..., Experience]:
    """Build a rollout from lists of rows; padding holds NaN, which no number may show.

    ``ragged(logprobs, advantages, entropies, correct, scored=None)``: per-token lists for the
    first and third, one number a row for the others; ``scored`` marks rows kept by the filter.
    """

    def build(
        logprobs: Sequence[Sequence[float]],
        advantages: Sequence[float],
        entropies: Sequence[Sequence[float]],
        correct: Sequence[bool],
        scored: Sequence[bool] | None = None,
    ) -> Experience:
        mask_BT = _padded([[1.0] * len(row) for row in logprobs], 0.0).bool()
        scored_B = torch.tensor(scored if scored is not None else [True] * len(logprobs))
        return whole_experience(
            mask_BT & scored_B[:, None],
            old_logprobs_BT=_padded(logprobs, float("nan")),
            advantages_BT=torch.tensor(advantages)[:, None].expand(mask_BT.shape),
            response_mask_BT=mask_BT,
            entropies_BT=_padded(entropies, float("nan")),
            correct_B=torch.tensor(correct),
        )

    return build
