"""Callbacks that count updates make no rows of RL steps, whatever the logger."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from runs import fit

from lit_entropy.tracking.csv_logger import RunLogger
from lit_entropy.tracking.step_axis import StepAxis


class EachUpdate(L.Callback):
    """Logs the updates so far after each of them, through the module and through the loggers."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        pl_module.log("mine/updates", float(trainer.global_step))
        for logger in trainer.loggers:
            logger.log_metrics({"mine/direct": 10.0 * trainer.global_step})

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({"mine/end": 7.0}, step=trainer.global_step)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return [
            {key: value for key, value in row.items() if value} for row in csv.DictReader(lines)
        ]


MONITORS = [
    "--trainer.callbacks=lit_entropy.callbacks.InitialValidation",
    "--trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor",
    "--trainer.callbacks+=lightning.pytorch.callbacks.DeviceStatsMonitor",
    "--trainer.callbacks+=test_step_axis.EachUpdate",
    "--trainer.log_every_n_steps=1",
]


def test_each_row_is_an_rl_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = f"--trainer.logger.save_dir={tmp_path / 'other'}"
    loggers = ["--trainer.logger+=CSVLogger", other]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*repeats.*")
        fit(tmp_path, *MONITORS, *loggers)
        first = rows(tmp_path / "quickstart-seed0" / "metrics.csv")
        # a run that is continued repeats other device statistics and updates without a warning
        fit(tmp_path, *MONITORS, "--ckpt_path=last", "--trainer.max_epochs=3")
    again = rows(tmp_path / "quickstart-seed0" / "metrics.csv")
    assert [row["step"] for row in first] == ["0", "1", "2"]  # 2 updates per RL step
    assert [row["step"] for row in again] == ["0", "1", "2", "3"] and again[:2] == first[:2]
    assert [row.get("mine/updates") for row in again] == [None, "2.0", "4.0", "6.0"]
    assert [row.get("mine/direct") for row in again] == [None, "20.0", "40.0", "60.0"]
    assert [row.get("lr-AdamW") for row in again] == [None, "0.0002", "0.0002", "0.0002"]
    assert "mine/end" in first[2] and not any("epoch" in row for row in again)
    cpu = "DeviceStatsMonitor.on_train_batch_end/cpu_percent"
    assert [cpu in row for row in again] == [False, True, True, True]
    (file,) = (tmp_path / "other").rglob("metrics.csv")
    lines = rows(file)
    assert {row["step"] for row in lines} == {"0", "1", "2"}
    assert {row["step"]: row["mine/updates"] for row in lines if "mine/updates" in row} == {
        "1": "2.0",
        "2": "4.0",
    }


class Recorder(CSVLogger):
    """Keeps the calls."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls: list[tuple[dict[str, Any], int | None]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.calls.append((dict(metrics), step))


def test_by_hand(tmp_path: Path) -> None:
    axis, logger = StepAxis(), Recorder(tmp_path)
    for _ in range(2):  # twice is once
        axis.attach([logger])
    logger.log_metrics({"lr": 0.1, "epoch": 0}, step=4)
    logger.log_metrics({"lr": torch.tensor(0.2)}, step=5)
    assert logger.calls == []
    logger.log_metrics({"page": object()}, step=2)  # no number: as it is
    axis.add({"val/a": 1.0})
    axis.add({"b": 2.0})
    axis.write([logger], 2, updates=6)
    logger.log_metrics({"mean": 5.0}, step=5)  # of the last update: of the row that is written
    logger.log_metrics({"b": 9.0, "lr": 0.3}, step=6)
    axis.add({"time/step": 1.0, "b": 3.0})
    axis.write([logger], 3, updates=8)
    logger.log_metrics({"late": 1.0}, step=8)
    for _ in range(2):
        axis.detach([logger])
    logger.log_metrics({"after": 1.0}, step=8)
    assert [list(call[0]) for call in logger.calls[:1]] == [["page"]]
    assert logger.calls[1:] == [
        ({"val/a": 1.0, "b": 2.0, "lr": 0.2}, 2),
        ({"mean": 5.0}, 2),
        ({"time/step": 1.0, "b": 3.0, "lr": 0.3}, 3),  # the run's own value of b
        ({"late": 1.0}, 3),
        ({"after": 1.0}, 8),
    ]


def test_nothing_is_written_before_the_first_row(tmp_path: Path) -> None:
    axis, logger = StepAxis(), RunLogger(str(tmp_path), "run")
    axis.attach([logger])
    logger.log_metrics({"lr": 0.1}, step=4)
    axis.detach([logger])
    assert not (tmp_path / "run").exists()
