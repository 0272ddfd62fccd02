"""What W&B shows of a validation: panels, and one table of standard errors and difficulties."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from lit_entropy.callbacks.summary import RunSummary
from lit_entropy.tracking import wandb_session
from lit_entropy.tracking.csv_logger import RunLogger
from lit_entropy.tracking.wandb_logger import SafeWandbLogger
from lit_entropy.tracking.wandb_scores import split_scores

METRICS: dict[str, Any] = {
    "loss/policy_se": 1.0, "val/entropy": 0.5, "val/accuracy": 0.25, "val/accuracy_se": 0.125,
    "val/accuracy/difficulty_10": 0.0, "val/accuracy_se/difficulty_10": 0.0625,
    "val/accuracy/difficulty_9": 1.0, "val/set/pass@4": 0.75, "val/set/pass@4_se": 0.5,
}  # fmt: skip
ROWS = [
    ["val/accuracy", "all", 0.25, 0.125],
    ["val/accuracy", "9", 1.0, None],
    ["val/accuracy", "10", 0.0, 0.0625],
    ["val/set/pass@4", "all", 0.75, 0.5],
]


def test_standard_errors_and_difficulties_are_rows() -> None:
    panels, rows = split_scores(METRICS)
    assert rows == ROWS
    assert list(panels) == ["loss/policy_se", "val/entropy", "val/accuracy", "val/set/pass@4"]
    plain = {"val/accuracy": 0.5, "rollout/reward": 1.0}
    assert split_scores(plain) == (plain, [])


def test_wandb_gets_one_table_a_validation(clean_wandb: Any, tmp_path: Path) -> None:
    logger = SafeWandbLogger(str(tmp_path), "run", offline=True)
    logger.log_metrics({key: torch.tensor(value) for key, value in METRICS.items()}, 10)
    logger.log_metrics({"test/accuracy": 0.5, "test/accuracy_se": 0.1}, 10)
    keys = set(dict(logger.experiment.summary))
    assert {"val/accuracy", "val/set/pass@4", "scores/val", "scores/test"} <= keys
    assert not {key for key in keys if "difficulty" in key or key == "val/accuracy_se"}
    (file,) = tmp_path.glob("run/wandb/offline-run-*/files/media/table/scores/val_*.table.json")
    table = json.loads(file.read_text())
    assert table == {"columns": ["score", "difficulty", "value", "standard error"], "data": ROWS}
    logger.experiment.finish()


def test_the_agent_of_a_sweep_draws_the_id(
    clean_wandb: Any,
    tmp_path: Path,
) -> None:
    clean_wandb.setenv("WANDB_SWEEP_ID", "abcd1234")
    clean_wandb.setenv("WANDB_RUN_ID", "fromagent")
    logger = SafeWandbLogger(
        str(tmp_path), "run", offline=True, group="g", tags=["a", "b"], notes="why", entity="me"
    )
    run = logger.experiment
    assert run.id == "fromagent" and (run.group, run.tags, run.notes) == ("g", ("a", "b"), "why")
    run.finish()
    clean_wandb.delenv("WANDB_SWEEP_ID")
    clean_wandb.delenv("WANDB_RUN_ID")
    assert wandb_session.run_id(tmp_path / "run") == "fromagent"  # a resume goes on there


def test_the_summary_reaches_wandb_as_a_picture(clean_wandb: Any, tmp_path: Path) -> None:
    RunLogger(str(tmp_path), "run").log_metrics({"entropy/token_mean": 0.5, "val/accuracy": 0.5}, 3)
    logger = SafeWandbLogger(str(tmp_path), "run", offline=True)
    trainer = SimpleNamespace(log_dir=str(tmp_path / "run"), is_global_zero=True, loggers=[logger])
    RunSummary(print_table=False).on_fit_end(cast(Any, trainer), cast(Any, None))
    picture = dict(logger.experiment.summary)["figures/summary"]
    assert picture["_type"] == "images/separated" and picture["count"] == 1
    (file,) = tmp_path.glob("run/wandb/offline-run-*/files/media/images/figures/summary_*.png")
    assert file.read_bytes() == (tmp_path / "run" / "figures" / "summary.png").read_bytes()
    logger.experiment.finish()


@pytest.mark.parametrize("count", [0, 1])
def test_a_call_without_numbers_is_left_alone(count: int) -> None:
    metrics = {f"tokens/page{i}": object() for i in range(count)}
    assert split_scores(metrics) == (metrics, [])
