"""Two gloo processes under DDP give the rollouts, selections, losses and metrics of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_equality import assert_same_run
from runs import CONFIGS, metrics
from two_ranks import REFUSED, arguments, launch, run

from lit_entropy.functional.rng import uniforms
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Completions

pytestmark = pytest.mark.timeout(500)

DDP = ["--config", str(CONFIGS / "strategy" / "ddp.yaml"), "--trainer.devices=2"]
FSDP2 = ["--config", str(CONFIGS / "strategy" / "fsdp2.yaml"), "--trainer.devices=2"]
#: Sizes that two ranks cannot share, and what the error says; every second one under FSDP2.
SIZES = {
    ("--data.prompts_per_step=5", "--data.minibatch_size=20"): (
        "data.prompts_per_step=5 does not divide over 2 ranks: each rank samples whole groups; "
        "set it to a multiple of 2"
    ),
    ("--data.prompts_per_step=7", "--data.minibatch_size=28"): (
        "data.prompts_per_step=7 does not divide over 2 ranks: each rank samples whole groups; "
        "set it to a multiple of 2"
    ),
    ("--data.minibatch_size=8", "--trainer.accumulate_grad_batches=8"): (
        "data.minibatch_size=8 does not divide into trainer.accumulate_grad_batches=8 "
        "microbatches on 2 ranks: set it to a multiple of 16"
    ),
    tuple(
        f"--data.task.{name}"
        for name in ("min_length=2", "max_length=2", "validation_max_length=2", "validation_size=1")
    ): (
        "data.task has 1 validation problems for 2 ranks: each rank needs one; raise its "
        "validation size or lower trainer.devices"
    ),
}
LOSSES = ["RecordingKLCov", "RecordingClipCov"]


class OffSampler(LocalEngine):
    """The local engine with log-probs that are off by up to a nat, by the name of the token."""

    runs_policy = False

    def generate(self, *arguments: Any, **options: Any) -> Completions:
        result = super().generate(*arguments, **options)
        prompts_B1, samples_B1 = (ids[:, None] for ids in arguments[2:4])
        off_BT = uniforms("off", prompts_B1, samples_B1, torch.arange(result.mask_BT.shape[1]))
        return replace(result, logprobs_BT=result.logprobs_BT - off_BT.float() * result.mask_BT)


OFF = [
    "--model.policy.model=chain-xs",
    "--model.engine=test_distributed.OffSampler",
    "--model.loss=lit_entropy.losses.TruncatedImportance",
    "--model.loss.inner=lit_entropy.losses.PPOClip",
    "--trainer.max_epochs=1",
    "--trainer.callbacks=null",
]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    folder = tmp_path_factory.mktemp("ddp")
    runs = [arguments(folder / loss, *PARTS, loss_option(loss), *DDP, HALVES) for loss in LOSSES]
    runs.append(arguments(folder / "off", *OFF, *DDP, HALVES))
    for index, sizes in enumerate(SIZES):
        strategy = (DDP, FSDP2)[index % 2]
        runs.append([REFUSED, *arguments(folder / "refused", *sizes, *strategy)])
    return folder, launch(folder, runs, timeout=400)


PARTS = [
    "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
    "--data.group_filter=resample",
]
HALVES = "--trainer.accumulate_grad_batches=2"


def loss_option(loss: str) -> str:
    return f"--model.loss=recording_losses.{loss}"


@pytest.mark.parametrize("loss", LOSSES)
def test_two_ranks_equal_one(tmp_path: Path, two: tuple[Path, list], loss: str) -> None:
    """Two ranks with two microbatches each against one process with whole minibatches."""
    torch.set_num_threads(1)
    expected = run(arguments(tmp_path, *PARTS, loss_option(loss)))
    folder, results = two
    index = LOSSES.index(loss)
    assert_same_run(tmp_path, expected, folder / loss, [rank[index] for rank in results])


def test_importance_weights_are_those_of_one_process(
    tmp_path: Path, two: tuple[Path, list]
) -> None:
    """Four microbatches of a minibatch instead of one; the largest weight is no mean of four."""
    run(arguments(tmp_path, *OFF))
    expected, found = metrics(tmp_path), metrics(two[0] / "off")
    for key in ("importance_mean", "importance_max", "importance_clipped"):
        values = found[f"policy/{key}"], expected[f"policy/{key}"]
        assert values[0] == pytest.approx(values[1], rel=1e-5), key  # float32 log-probs
    # the largest of some 200 uniforms on [0, 1) is off by 0.9 nats at the least
    assert 2.45 < float(found["policy/importance_max"][0]) < 2.72


def test_sizes_that_ranks_cannot_share_are_refused_at_setup(two: tuple[Path, list]) -> None:
    """On every rank alike, so that none waits for another."""
    folder, results = two
    for rank in results:
        found = [result["refusal"] for result in rank[len(LOSSES) + 1 :]]
        assert found == list(SIZES.values())
    assert not list((folder / "refused").rglob("metrics.csv"))
