"""Prompt order, minibatches and the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from runs import fit

from lit_entropy.data import PromptDataModule
from lit_entropy.step.order import minibatch_rows, prompt_indices
from lit_entropy.step.plan import StepPlan
from lit_entropy.tasks.chain import ChainArithmetic


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 5))
def test_every_prompt_is_used_once_an_epoch_of_the_data(size: int, count: int, seed: int) -> None:
    steps = -(-3 * size // count)  # at least three epochs of the data
    stream = torch.cat([prompt_indices(size, count, seed, step) for step in range(1, steps + 1)])
    for epoch in range(3):
        part = stream[epoch * size : (epoch + 1) * size]
        assert sorted(part.tolist()) == list(range(size))


def test_prompts_are_a_pure_function_of_seed_and_step() -> None:
    first = prompt_indices(1000, 32, 0, 7)
    assert torch.equal(first, prompt_indices(1000, 32, 0, 7))
    assert not torch.equal(first, prompt_indices(1000, 32, 1, 7))
    assert not set(first.tolist()) & set(prompt_indices(1000, 32, 0, 8).tolist())
    again = prompt_indices(1000, 32, 0, 7, attempt=1)
    assert not torch.equal(first, again)
    assert not torch.equal(again, prompt_indices(1000, 32, 0, 7, attempt=2))


def test_minibatches_cover_every_row_once_a_pass_in_a_new_order() -> None:
    rows = torch.arange(100, 132)
    first, second = (torch.stack(minibatch_rows(rows, 8, 0, 3, epoch)) for epoch in (0, 1))
    for order in (first, second):
        assert order.shape == (4, 8)
        assert sorted(order.flatten().tolist()) == rows.tolist()
    assert not torch.equal(first, second)
    assert torch.equal(first, torch.stack(minibatch_rows(rows, 8, 0, 3, 0)))


class Order(Callback):
    """Notes what happens when."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.events.append(("epoch", pl_module.rollout is None))

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        part = batch.loss_batch
        rows = list(zip(part.prompt_ids_B.tolist(), part.sample_ids_B.tolist(), strict=True))
        self.events.append(("batch", trainer.global_step, part.update, rows))

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.events.append(("validation", trainer.global_step))


def test_one_epoch_is_one_rl_step(tmp_path: Path) -> None:
    """Nothing is sampled before the epoch starts; every sequence once a pass; then validation."""
    order = Order()
    cli = fit(
        tmp_path, "--data.update_epochs=2", "--trainer.callbacks=null", "--trainer.max_epochs=0"
    )
    trainer = cli.trainer
    trainer.callbacks.append(order)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(cli.model, datamodule=cli.datamodule)
    kinds = [event[0] for event in order.events]
    # 8 x 4 = 32 sequences, minibatches of 16, 2 passes: 4 updates per RL step
    assert kinds == ["epoch", *["batch"] * 4, "epoch", *["batch"] * 4, "validation"]
    assert order.events[0] == ("epoch", True)  # no rollout yet
    batches = [event for event in order.events if event[0] == "batch"]
    assert [event[1] for event in batches] == list(range(8))  # one optimizer step a minibatch
    assert [event[2] for event in batches] == list(range(8))  # the key of the random draws
    for start in range(0, 8, 2):
        rows = [row for event in batches[start : start + 2] for row in event[3]]
        assert len(set(rows)) == len(rows) == 32
    assert len(trainer.train_dataloader) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts_per_step": 0}, "data.prompts_per_step=0"),
        ({"minibatch_size": 48}, "data.minibatch_size=48 does not divide the 256 sequences"),
        ({"update_epochs": 0}, "data.update_epochs=0"),
        ({"max_resamples": -1}, "data.max_resamples=-1"),
        (
            {"group_size": 1, "minibatch_size": 32},
            r"data.group_filter='resample' with data.group_size=1: .* set data.group_filter=none$",
        ),
        (
            {"group_filter": "maks"},
            "data.group_filter='maks' is unknown: choose one of none, mask,",
        ),
        ({"overlong_prompts": "keep"}, "data.overlong_prompts='keep' is unknown: choose one of"),
    ],
)
def test_bad_settings(arguments: dict[str, Any], message: str) -> None:
    sizes: dict[str, Any] = {"prompts_per_step": 32, "group_size": 8, "minibatch_size": 64}
    with pytest.raises(ValueError, match=message):
        PromptDataModule(ChainArithmetic(), **(sizes | arguments))


def test_what_is_checked_at_setup(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"minibatch_size=16 .*accumulate_grad_batches=3"):
        fit(tmp_path, "--trainer.accumulate_grad_batches=3")
    with pytest.raises(ValueError, match=r"prompt of \d+ tokens.*max_prompt_tokens=3"):
        fit(tmp_path, "--data.max_prompt_tokens=3")
    with pytest.raises(ValueError, match=r"data.group_size=1, but GRPO compares"):
        fit(tmp_path, "--data.group_size=1", "--data.minibatch_size=8")
    with pytest.raises(ValueError, match=r"data\.task has no training problems"):
        fit(tmp_path, "--data.task=broken_parts.NothingToTrain")
    with pytest.raises(ValueError, match=r"validation problems 0 and 1, .* both have the id 7"):
        fit(tmp_path, "--data.task=broken_parts.OneId")


def test_prompts_that_are_drawn_more_than_once_a_step() -> None:
    plan = StepPlan(prompts_per_step=32)
    assert plan.repeated_prompts(32) is None and plan.repeated_prompts(33) is None
    # 32 = 3 * 10 + 2
    assert plan.repeated_prompts(10) == (
        "data.task has 10 training problems and an RL step draws data.prompts_per_step=32: each is "
        "drawn 3 or 4 times in every RL step. Give more problems, or lower data.prompts_per_step "
        "and data.minibatch_size"
    )
    assert "has 1 training problem and" in str(plan.repeated_prompts(1))
    assert "is drawn 2 times in" in str(plan.repeated_prompts(16))
    counts = plan.prompts(10, 1, 0).bincount()
    assert sorted(counts.tolist()) == [3] * 8 + [4] * 2  # what it says is what is drawn


def test_a_run_says_once_that_prompts_repeat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = ["--data.task.train_size=3", "--trainer.max_epochs=0", "--trainer.limit_val_batches=0"]
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        fit(tmp_path, *sizes)
    assert caplog.text.count("data.prompts_per_step=8: each is drawn 2 or 3 times in every") == 1
