"""A checkpoint that lacks a part of its state is refused by name, where Lightning starts at 0."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ALONE, fit

from lit_entropy.checkpoints.complete import require_complete
from lit_entropy.errors import CheckpointError

LOOP = "epoch_loop.automatic_optimization.optim_progress"


def whole() -> dict[str, Any]:
    """What a fit of 3 RL steps with 2 updates each leaves, as far as it is looked at."""
    fit_loop = {
        "epoch_progress": {"current": {"processed": 3, "completed": 2}},
        "epoch_loop.state_dict": {"_batches_that_stepped": 6},
        LOOP: {"optimizer": {"step": {"total": {"completed": 6}}}},
    }
    return {
        "rl_steps": 3, "global_step": 6, "loops": {"fit_loop": fit_loop}, "callbacks": {},
        "lr_schedulers": [], "optimizer_states": [], "advantage": {},
    }  # fmt: skip


def changed(keys: tuple[str, ...], value: object = None) -> dict[str, Any]:
    """The same without an entry, or with another value there."""
    checkpoint = copy.deepcopy(whole())
    node = checkpoint
    for key in keys[:-1]:
        node = node[key]
    del node[keys[-1]]
    if value is not None:
        node[keys[-1]] = value
    return checkpoint


def test_a_whole_checkpoint_is_taken() -> None:
    require_complete(whole(), "last.ckpt")
    require_complete(changed(("optimizer_states",)), "last.ckpt", apart=("optimizer_states",))


@pytest.mark.parametrize("part", sorted(whole()))
def test_a_part_that_is_missing_is_named(part: str) -> None:
    with pytest.raises(CheckpointError, match=rf"^last\.ckpt has no {part}, and a run would start"):
        require_complete(changed((part,)), "last.ckpt")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("fit_loop",), None, "has no loops.fit_loop: epoch_progress.current.processed"),
        (("fit_loop", "epoch_progress"), None, "has no loops.fit_loop: epoch_progress.current"),
        (("fit_loop", LOOP), None, f"has no loops.fit_loop: {LOOP}.optimizer.step.total"),
        (("fit_loop", LOOP), [], f"has no loops.fit_loop: {LOOP}.optimizer.step.total"),
        (
            ("fit_loop", "epoch_progress", "current", "processed"),
            2,
            "has loops.fit_loop: epoch_progress.current.processed = 2 after 3 RL steps and 6 upd",
        ),
        (
            ("fit_loop", "epoch_loop.state_dict", "_batches_that_stepped"),
            5,
            "epoch_loop.state_dict._batches_that_stepped = 5 after 3 RL steps and 6 updates",
        ),
    ],
)
def test_loops_that_are_cut_or_disagree(keys: tuple[str, ...], value: object, message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        require_complete(changed(("loops", *keys), value), "last.ckpt")
    assert message in str(caught.value)


def test_a_resume_without_its_loops_is_refused(tmp_path: Path) -> None:
    """Lightning trains it again from the first RL step, with the weights of the last."""
    fit(tmp_path, *ALONE, "--trainer.max_epochs=1")
    path = tmp_path / "quickstart-seed0" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["loops"]
    torch.save(checkpoint, path)
    before = (tmp_path / "quickstart-seed0" / "metrics.csv").read_bytes()
    with pytest.raises(CheckpointError, match=r"last\.ckpt has no loops, .*resume from another"):
        fit(tmp_path, *ALONE, "--ckpt_path=last")
    assert (tmp_path / "quickstart-seed0" / "metrics.csv").read_bytes() == before
