"""What is known of a fit's end when an RL step's checkpoint is written, and what continues it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from runs import ALONE, fit, metrics

from lit_entropy.callbacks.endings import (
    STOPPED,
    end_by_rl_steps,
    is_last_step,
    stop_again,
    stopped_early,
)

LAST = "quickstart-seed0/checkpoints/last.ckpt"


def trainer(**changed: Any) -> Any:
    """After RL step 3 with 2 updates each, of a fit without an end."""
    usual = {"max_epochs": -1, "max_steps": -1, "min_epochs": None, "min_steps": None}
    usual |= {"global_step": 6, "should_stop": False, "callbacks": []}
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
    [(-1, 6, 3), (None, 6, 3), (9, 6, 3), (2, 6, 2), (9, -1, 9), (-1, 0, 0)],
)
def test_updates_are_counted_as_rl_steps(
    max_epochs: int | None, max_steps: int, rl_steps: int
) -> None:
    loop = SimpleNamespace(max_epochs=max_epochs, epoch_loop=SimpleNamespace(max_steps=max_steps))
    end_by_rl_steps(trainer(fit_loop=loop, max_steps=max_steps), 2)
    assert (loop.max_epochs, loop.epoch_loop.max_steps) == (rl_steps, -1)


def test_only_an_early_stop_of_this_rl_step_is_noted() -> None:
    stopping = EarlyStopping("a")
    stopping.stopped_epoch = 2  # in the third
    assert stopped_early(trainer(should_stop=True, callbacks=[stopping]), 3)
    assert not stopped_early(trainer(should_stop=False, callbacks=[stopping]), 3)
    assert not stopped_early(trainer(should_stop=True, callbacks=[stopping]), 4)
    assert not stopped_early(trainer(should_stop=True), 3)  # by a time limit, say


def test_what_continues_an_early_stop_is_over_unless_it_leaves_that_out() -> None:
    continued, other, earlier = (trainer(callbacks=[EarlyStopping("a")]) for _ in range(3))
    free = trainer()
    stop_again(continued, {STOPPED: True, "rl_steps": 3})
    stop_again(other, {STOPPED: False, "rl_steps": 3})
    stop_again(earlier, {"rl_steps": 3})  # of an earlier version
    stop_again(free, {STOPPED: True, "rl_steps": 3})
    stops = [each.should_stop for each in (continued, other, earlier, free)]
    assert stops == [True, False, False, False]


def test_a_number_of_updates_is_continued(tmp_path: Path) -> None:
    """Lightning alone begins with the end of an RL step that it has not made."""
    fit(tmp_path, *ALONE, "--trainer.max_epochs=-1", "--trainer.max_steps=2")
    fit(tmp_path, *ALONE, "--trainer.max_epochs=-1", "--trainer.max_steps=4", "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 4
