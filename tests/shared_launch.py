"""The runs on two ranks that the default tests share, in one launch for the whole suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import CONFIGS, SMALL, one_at_a_time, shared_folder
from two_ranks import REFUSED, arguments, launch

DDP = ["--config", str(CONFIGS / "strategy" / "ddp.yaml"), "--trainer.devices=2"]
FSDP2 = ["--config", str(CONFIGS / "strategy" / "fsdp2.yaml"), "--trainer.devices=2"]
HALVES = "--trainer.accumulate_grad_batches=2"
LOSSES = ["RecordingKLCov", "RecordingClipCov"]
DDP_PARTS = [
    "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
    "--data.group_filter=resample",
]
OFF = [
    "--model.policy.model=chain-xs",
    "--model.engine=off_sampler.OffSampler",
    "--model.loss=lit_entropy.losses.TruncatedImportance",
    "--model.loss.inner=lit_entropy.losses.PPOClip",
    "--trainer.max_epochs=1",
    "--trainer.callbacks=null",
]
#: The multi-turn rollout of the docs, one RL step of it.
DIALOGUES = [
    "--model.policy.model=chain-xs",
    "--model.engine=documented.AskAgain",
    "--data.task=documented.LastAnswer",
    "--data.task.validation_size=10",
    "--trainer.max_epochs=1",
    "--trainer.limit_val_batches=0",
    "--trainer.callbacks=null",
]
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
#: What has something of its own to go wrong: a loss that selects, a reference, resampled groups,
#: passes by callbacks, and a validation with 13 problems in batches of 4 (7 and 6 per rank).
FSDP2_PARTS = [
    "--model.policy.model=chain-xs",
    "--model.regularizers+=lit_entropy.regularizers.ReferenceKL",
    "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
    "--trainer.callbacks.probe_prompts=4",
    "--data.group_filter=resample",
    "--data.task.validation_size=13",
    "--data.validation_batch=6",
]
TINY = ["--model.policy.model=chain-xs", "--trainer.callbacks=null"]
QUICK = ["--model.evaluation.samples=0", "--model.evaluation.pass_k=[]"]
DYNAMICS = [
    *QUICK,
    "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
    "--trainer.callbacks.every=2",
    "--trainer.callbacks.probe_prompts=5",
    "--trainer.callbacks.rollout_prompts=3",
]
#: A validation with samples.
SAMPLED = [
    "--model.policy.model=chain-xs",
    "--model.evaluation=lit_entropy.evaluation.Evaluation",
    "--model.evaluation.samples=4",
    "--model.evaluation.pass_k=[2]",
]
#: A prediction of which the first rank has a problem more than the other.
PREDICTED = [
    "--model.policy.model=chain-xs",
    "--data.validation_batch=5",
    "--data.task.validation_size=11",
]
PRIME = ["--config", str(CONFIGS / "experiment" / "prime.yaml")]
ONE_STEP = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]


@dataclass(frozen=True)
class Launched:
    """Runs on two ranks by name: what each rank found, and the folder of the runs' folders."""

    folders: Path
    results: dict[str, list[dict[str, Any]]]

    def folder(self, name: str) -> Path:
        """The folder of a run."""
        return self.folders / name


def loss_option(loss: str) -> str:
    """The option of a loss that records what it selects."""
    return f"--model.loss=recording_losses.{loss}"


def last(folder: Path) -> str:
    """The last checkpoint of a run below ``folder``."""
    return str(folder / "quickstart-seed0" / "checkpoints" / "last.ckpt")


def steps(count: int) -> list[str]:
    """So many RL steps, each with a validation."""
    return [f"--trainer.max_epochs={count}", "--trainer.check_val_every_n_epoch=1"]


def planned(folder: Path) -> dict[str, list[str]]:
    """Arguments of every run: under DDP, refused sizes, under FSDP2 with a resume, evaluations."""
    runs = {
        loss: arguments(folder / loss, *DDP_PARTS, loss_option(loss), *DDP, HALVES)
        for loss in LOSSES
    }
    runs["off"] = arguments(folder / "off", *OFF, *DDP, HALVES)
    runs["dialogues"] = arguments(folder / "dialogues", *DIALOGUES, *DDP)
    runs["dynamics"] = arguments(
        folder / "dynamics", *DYNAMICS, "--trainer.max_epochs=1", "--trainer.strategy=ddp",
        "--trainer.devices=2",
    )  # fmt: skip
    runs["prime"] = [
        "fit", "--config", str(CONFIGS / "base.yaml"), *PRIME, *SMALL, *ONE_STEP,
        "--run.name=prime-seed0",
        f"--run.folder={folder / 'prime'}", "--trainer.strategy=ddp", "--trainer.devices=2",
    ]  # fmt: skip
    for index, sizes in enumerate(SIZES):
        strategy = (DDP, FSDP2)[index % 2]
        runs[f"refused {index}"] = [REFUSED, *arguments(folder / "refused", *sizes, *strategy)]
    runs["sharded"] = arguments(
        folder / "sharded", *FSDP2_PARTS, loss_option("RecordingKLCov"), *FSDP2, HALVES
    )
    runs["three"] = arguments(folder / "three", *TINY, *FSDP2, *steps(3))
    runs["resumed"] = arguments(folder / "resumed", *TINY, *FSDP2, *steps(2))
    runs["validated"] = arguments(
        folder / "validated", *SAMPLED, "--trainer.strategy=ddp", "--trainer.devices=2",
        "--checkpoints", f"[base, {last(folder / 'three')}]", command="validate",
    )  # fmt: skip
    runs["predicted"] = arguments(
        folder / "predicted", *PREDICTED, "--trainer.strategy=ddp", "--trainer.devices=2",
        command="predict",
    )  # fmt: skip
    again = f"--ckpt_path={last(folder / 'resumed')}"
    runs["again"] = arguments(folder, *TINY, *FSDP2, *steps(3), again)
    return runs


def launched(factory: pytest.TempPathFactory) -> Launched:
    """The runs, launched by the first worker that asks and read by the others."""
    folder = shared_folder(factory, "two_ranks")
    runs = planned(folder)
    with one_at_a_time(folder):
        files = [folder / f"rank{rank}.pt" for rank in (0, 1)]
        if all(file.exists() for file in files):
            results = [torch.load(file, weights_only=True) for file in files]
        else:
            results = launch(folder, list(runs.values()), timeout=900)
    by_name = {name: [rank[index] for rank in results] for index, name in enumerate(runs)}
    return Launched(folder, by_name)
