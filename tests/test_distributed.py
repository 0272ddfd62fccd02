"""Two gloo processes give the rollouts, selections, losses and metrics of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from recording_losses import Recording
from runs import CONFIGS, SMALL, fit, metrics

NAME = "quickstart-seed0"


@pytest.mark.parametrize("loss", ["RecordingKLCov", "RecordingClipCov"])
def test_two_ranks_equal_one(tmp_path: Path, loss: str) -> None:
    """Two ranks with two microbatches each against one process with whole minibatches."""
    arguments = [
        f"--model.loss=recording_losses.{loss}",
        "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
        "--data.group_filter=resample",
    ]
    Recording.selections.clear()
    fit(tmp_path / "one", *arguments)
    expected = [sorted(map(list, tokens)) for tokens in Recording.selections]
    assert len(expected) == 4 and all(len(tokens) >= 3 for tokens in expected)
    command = [sys.executable, "-m", "lit_entropy", "fit"]
    command += ["--config", str(CONFIGS / "quickstart.yaml"), *SMALL, *arguments]
    command += [f"--run.folder={tmp_path / 'two'}", "--trainer.devices=2", "--trainer.strategy=ddp"]
    command += ["--trainer.accumulate_grad_batches=2"]
    environment = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parent),
        "SELECTIONS": str(tmp_path / "selections"),
    }
    subprocess.run(
        command, env=os.environ | environment, check=True, capture_output=True, timeout=200
    )
    for rank in (0, 1):
        lines = (tmp_path / f"selections-{rank}.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == expected

    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    measured = {key for key in one if not key.startswith("time/")}
    assert measured == {key for key in two if not key.startswith("time/")}
    for key in measured:
        # float32 sums over other batches; the second RL step also carries Adam's first updates
        np.testing.assert_allclose(two[key], one[key], rtol=2e-3, atol=2e-5, err_msg=key)
    exact = ["rollout/reward", "rollout/length", "rollout/groups", "policy/selected", "step"]
    for key in exact:  # the same tokens sampled
        np.testing.assert_allclose(two[key], one[key], rtol=0, atol=1e-7, err_msg=key)
    states = [
        torch.load(tmp_path / run / NAME / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("one", "two")
    ]
    for name, expected in states[0]["state_dict"].items():
        # Adam's first steps are sign-like: a rounding difference may move a weight by part of lr
        torch.testing.assert_close(
            states[1]["state_dict"][name], expected, rtol=1e-3, atol=5e-5, msg=name
        )
