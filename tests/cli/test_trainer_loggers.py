"""Loggers of the trainer beside the run's own: where they write, by flag, file and config.yaml."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger
from runs import ALONE, fit

from lit_entropy.cli.loggers import RUN_FOLDER, completed, needs_save_dir, with_save_dirs
from lit_entropy.cli.main import main

ONE_STEP = [*ALONE, "--trainer.max_epochs=1"]
FLAG, SAVE_DIR = "--trainer.logger", "--trainer.logger.init_args.save_dir"


class Beside(CSVLogger):
    """A logger whose folder has a default, as that of MLflow."""

    def __init__(self, save_dir: str = "./beside") -> None:
        super().__init__(save_dir, name="own")


def test_which_loggers_need_a_folder() -> None:
    names = ["CSVLogger", "TensorBoardLogger", "lightning.pytorch.loggers.CSVLogger"]
    assert all(needs_save_dir(name) for name in names)
    others = [
        "WandbLogger",
        "test_trainer_loggers.Beside",
        "true",
        "no.such.Logger",
        "x y",
        "",
        "os.path",
    ]
    assert not any(needs_save_dir(name) for name in others)


def test_a_folder_is_added_where_none_is_given() -> None:
    added = [SAVE_DIR, RUN_FOLDER]
    assert with_save_dirs(["fit", FLAG, "CSVLogger"]) == ["fit", FLAG, "CSVLogger", *added]
    assert with_save_dirs([f"{FLAG}+=CSVLogger", "--x"]) == [f"{FLAG}+=CSVLogger", *added, "--x"]
    kept = [FLAG, "WandbLogger", FLAG, "false", "--model.loss", "CSVLogger"]
    assert with_save_dirs(kept) == kept
    values = {"trainer": {"logger": ["CSVLogger", {"class_path": "CSVLogger"}, True]}}
    expected = {"class_path": "CSVLogger", "init_args": {"save_dir": RUN_FOLDER}}
    assert completed({"fit": values}) == {"fit": {"trainer": {"logger": [expected] * 2 + [True]}}}
    own = {"class_path": "CSVLogger", "init_args": {"save_dir": "own"}}
    assert completed({"trainer": {"logger": own}}) == {"trainer": {"logger": own}}
    assert completed({"model": {"logger": "CSVLogger"}}) == {"model": {"logger": "CSVLogger"}}


def tables(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("metrics.csv"))


def test_they_write_into_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of another run of the configuration, and of a name that was taken."""
    monkeypatch.chdir(tmp_path)
    logger = [FLAG, "CSVLogger", f"{FLAG}+", "test_trainer_loggers.Beside"]
    fit(Path("runs"), *ONE_STEP, *logger)
    run = Path("runs", "quickstart-seed0")
    expected = ["beside/own/version_0/metrics.csv", "lightning_logs/version_0/metrics.csv",
                "metrics.csv"]  # fmt: skip
    assert tables(run) == expected and os.listdir() == ["runs"]
    saved = yaml.safe_load((run / "config.yaml").read_text())["trainer"]["logger"]
    assert [entry["init_args"]["save_dir"] for entry in saved] == [RUN_FOLDER, "./beside"]
    main(["fit", "--config", str(run / "config.yaml")])
    assert tables(run) == expected and tables(Path("runs", "quickstart-seed0-2")) == expected
    assert os.listdir() == ["runs"]


def test_a_folder_of_their_own_counts(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("trainer:\n  logger: CSVLogger\nrun: {name: more}\n")
    own = [f"--config={tmp_path / 'more.yaml'}", f"--trainer.logger.save_dir={tmp_path / 'own'}"]
    fit(tmp_path / "runs", *own, *ONE_STEP)
    assert tables(tmp_path / "own") == ["lightning_logs/version_0/metrics.csv"]
    assert tables(tmp_path / "runs") == ["more/metrics.csv"]
