"""Runs of the real CLI at a size that takes a second, shared by the integration tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.data import PromptDataModule
from lit_entropy.module import EntropyModule
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience

CONFIGS = Path(__file__).parent.parent / "configs"
#: The callbacks of a run that no test asks for its figure.
NO_FIGURE = f"--config={Path(__file__).with_name('small.yaml')}"

#: The name of the quickstart, whatever a test changes of it.
NAMED = "--run.name=quickstart-seed${seed_everything}"
SMALL = [
    NO_FIGURE,
    NAMED,
    "--data.prompts_per_step=8",
    "--data.group_size=4",
    "--data.minibatch_size=16",
    "--data.task.validation_size=10",
    "--model.max_new_tokens=24",
    "--trainer.max_epochs=2",
    "--trainer.check_val_every_n_epoch=2",
    "--trainer.accelerator=cpu",
    "--run.wandb=off",
    "--checkpoint.every_n_epochs=1",
]

#: The same, named after what is changed.
UNNAMED = [option for option in SMALL if option != NAMED]

#: The algorithm alone: no diagnostics, no samples, no validation.
ALONE = ["--trainer.callbacks=null", "--trainer.limit_val_batches=0"]


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of this suite that all of its workers share."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds a shared folder against the other workers."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fit(folder: Path, *arguments: str, config: str = "quickstart.yaml") -> EntropyCLI:
    """Run ``lit-entropy fit`` in this process, runs below ``folder``."""
    small = SMALL if config == "quickstart.yaml" else UNNAMED
    return main(
        ["fit", "--config", str(CONFIGS / config), *small, f"--run.folder={folder}", *arguments]
    )


def parts(cli: EntropyCLI) -> tuple[EntropyModule, PromptDataModule]:
    """The module and the data of a run."""
    return cli.model, cli.datamodule


def rollout_of(cli: EntropyCLI) -> Rollout:
    """The record of the last RL step of a run."""
    rollout = cli.model.rollout
    assert isinstance(rollout, Rollout)
    return rollout


def experience_of(cli: EntropyCLI) -> Experience:
    """What the last RL step of a run trained on."""
    return rollout_of(cli).experience


def weights(cli: EntropyCLI) -> dict[str, torch.Tensor]:
    """A copy of the module's state."""
    return {name: value.clone() for name, value in cli.model.state_dict().items()}


def metrics(folder: Path, name: str = "quickstart-seed0") -> dict[str, Any]:
    """The columns of a run's metrics.csv."""
    from lit_entropy.tracking.csv_logger import read_metrics

    return read_metrics(folder / name)
