"""What is known of a fit's end when an RL step's checkpoint is written, and what continues it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from runs import ALONE, fit, metrics

from lit_entropy.callbacks.endings import (
    STOPPED,
    is_last_step,
    most_rl_steps,
    stopped_early,
)

LAST = "quickstart-seed0/checkpoints/last.ckpt"


def trainer(**changed: Any) -> Any:
    """After RL step 3 with 2 updates each, of a fit without an end."""
    usual = {"max_epochs": -1, "max_steps": -1, "min_epochs": None, "min_steps": None}
    usual |= {"global_step": 6, "should_stop": False}
    return SimpleNamespace(**usual | changed)


@pytest.mark.parametrize(
    ("changed", "last"),
    [
        ({}, False),
        ({"max_epochs": 3}, True),
        ({"max_epochs": 4}, False),
        ({"max_steps": 6}, True),
        ({"max_steps": 8}, False),
        ({"should_stop": True}, True),
        ({"should_stop": True, "min_epochs": 4}, False),
        ({"should_stop": True, "min_steps": 7}, False),
        ({"should_stop": True, "min_epochs": 3, "min_steps": 6}, True),
    ],
)
def test_the_last_rl_step(changed: dict[str, Any], last: bool) -> None:
    assert is_last_step(trainer(**changed), 3) is last


@pytest.mark.parametrize(
    ("max_epochs", "max_steps", "rl_steps"),
    [(-1, 6, 3), (None, 6, 3), (9, 6, 3), (2, 6, 2), (9, -1, 9), (-1, -1, -1), (-1, 0, 0)],
)
def test_updates_are_counted_as_rl_steps(
    max_epochs: int | None, max_steps: int, rl_steps: int
) -> None:
    assert most_rl_steps(max_epochs, max_steps, 2) == rl_steps


def test_only_an_early_stop_of_this_rl_step_is_one() -> None:
    stopping = EarlyStopping("a")
    stopping.stopped_epoch = 2  # in the third
    assert stopped_early([Callback(), stopping], 3)
    assert not stopped_early([stopping], 4)
    assert not stopped_early([Callback()], 3)


def test_an_early_stop_in_the_first_rl_step_is_told_from_none() -> None:
    """A time limit may end the fit there, beside one that has asked for nothing."""
    stopping = EarlyStopping("a")
    assert not stopped_early([stopping], 1)
    trainer = SimpleNamespace(
        callback_metrics={"a": torch.tensor(math.nan)},
        fast_dev_run=False,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        should_stop=False,
        current_epoch=0,
        world_size=1,
    )
    stopping._run_early_stopping_check(trainer)  # type: ignore[arg-type]
    assert trainer.should_stop and stopped_early([stopping], 1)


STOP = ["lightning.pytorch.callbacks.EarlyStopping", "mode=max", "monitor=entropy/token_mean"]
STOP += ["min_delta=1000", "patience=1", "check_on_train_epoch_end=true"]
EARLY = [f"--trainer.callbacks+={STOP[0]}", *[f"--trainer.callbacks.{text}" for text in STOP[1:]]]
LONG = [ALONE[1], "--trainer.max_epochs=3"]


def test_what_continues_an_early_stop_is_over_unless_more_is_asked_for(tmp_path: Path) -> None:
    fit(tmp_path, *LONG, *EARLY)
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    assert torch.load(tmp_path / LAST, weights_only=True)[STOPPED] is True
    fit(tmp_path, *LONG, *EARLY, "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    fit(tmp_path, *LONG, *EARLY, "--trainer.min_epochs=3", "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2, 3]


def test_a_number_of_updates_is_continued(tmp_path: Path) -> None:
    """Lightning alone begins with the end of an RL step that it has not made."""
    fit(tmp_path, *ALONE, "--trainer.max_epochs=-1", "--trainer.max_steps=2")
    fit(tmp_path, *ALONE, "--trainer.max_epochs=-1", "--trainer.max_steps=4", "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 4
