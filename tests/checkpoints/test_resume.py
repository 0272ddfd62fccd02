"""A resumed run is the uninterrupted run, bit for bit; a changed one is refused."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import start_command
from runs import CONFIGS, SMALL, fit, metrics

from lit_entropy.cli.main import main
from lit_entropy.tracking.metrics_file import read_metrics

NAME = "quickstart-seed0"
# everything with a state: selection, adaptive coefficient, schedule, momentum, EntropyDelta
STATEFUL = [
    f"--model.loss={CONFIGS / 'loss' / 'kl_cov_tiny.yaml'}",
    "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
    "--model.lr_scheduler=torch.optim.lr_scheduler.LinearLR",
    "--model.lr_scheduler.total_iters=6",
    "--data.group_filter=resample",
]
STEPS = 6
PAGES = ["--trainer.callbacks+=lit_entropy.callbacks.TokenPage", "--trainer.callbacks.every=1"]


def checkpoint(folder: Path) -> dict[str, Any]:
    path = folder / NAME / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)


def assert_same_state(actual: Any, expected: Any, key: str = "") -> None:
    """Exact equality of nested states, NaN never allowed."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected), key
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys(), key
        for name, value in expected.items():
            assert_same_state(actual[name], value, f"{key}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), key
        for index, value in enumerate(expected):
            assert_same_state(actual[index], value, f"{key}[{index}]")
    else:
        assert actual == expected, key


def assert_same_run(folder: Path, expected: Path) -> None:
    """Parameters, optimizer, schedule, callbacks and every logged number but the times."""
    ours, theirs = checkpoint(folder), checkpoint(expected)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert_same_state(ours[part], theirs[part], part)
    delta = "EntropyDelta"
    for name, state in theirs["callbacks"].items():
        if name.startswith(delta):
            assert_same_state(ours["callbacks"][name], state, name)
    rows, expected_rows = metrics(folder), metrics(expected)
    assert rows["step"].tolist() == list(range(STEPS + 1))
    keys = {key for key in expected_rows if not key.startswith("time/")}
    assert keys == {key for key in rows if not key.startswith("time/")}
    assert {"dynamics/delta", "policy/lr", "rollout/reward", "val/accuracy"} <= keys
    for key in keys:
        np.testing.assert_array_equal(rows[key], expected_rows[key], err_msg=key)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uninterrupted")
    fit(folder, *STATEFUL, f"--trainer.max_epochs={STEPS}")
    return folder


def test_resume_at_boundaries(tmp_path: Path, uninterrupted: Path) -> None:
    """Stopped after 1, 3 and 4 RL steps: each part goes on where the one before ended."""
    for stop in (1, 3, 4, STEPS):
        last = ["--ckpt_path=last"] if stop > 1 else []
        fit(tmp_path, *STATEFUL, f"--trainer.max_epochs={stop}", *last)
    assert_same_run(tmp_path, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.slow  # tests/reliability/test_kills.py kills at every kind of file event
def test_resume_after_kills(tmp_path: Path, uninterrupted: Path) -> None:
    """SIGKILL as soon as some rows (and the header) are logged; a checkpoint follows its row."""
    command = ["fit", "--config", str(CONFIGS / "quickstart.yaml"), *SMALL, *STATEFUL]
    command += [f"--run.folder={tmp_path / 'runs'}", f"--trainer.max_epochs={STEPS}"]
    file = tmp_path / "runs" / NAME / "metrics.csv"
    for rows, last in ((3, []), (5, ["--ckpt_path=last"])):
        process = start_command(tmp_path / "log", [*command, *last])
        deadline = time.monotonic() + 120
        while not (file.exists() and len(file.read_text().splitlines()) > rows):
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    fit(tmp_path / "runs", *STATEFUL, f"--trainer.max_epochs={STEPS}", "--ckpt_path=last")
    assert_same_run(tmp_path / "runs", uninterrupted)


def test_a_resume_from_an_earlier_checkpoint_leaves_one_trajectory(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows, samples and pages of the abandoned part: aside; what stays is of this policy."""
    keep = ["--checkpoint.save_top_k=-1", "--trainer.check_val_every_n_epoch=1", *PAGES]
    fit(tmp_path, *keep, "--trainer.max_epochs=4")
    before, run = metrics(tmp_path), tmp_path / NAME
    path = run / "checkpoints" / "rl_step_00001.ckpt"
    caplog.set_level("INFO")
    fit(tmp_path, *keep, "--trainer.max_epochs=2", f"--ckpt_path={path}")
    rows, abandoned = metrics(tmp_path), read_metrics(run / "metrics-abandoned.csv")
    assert rows["step"].tolist() == [0, 1, 2] and abandoned["step"].tolist() == [2, 3, 4]
    for key in (key for key in rows if not key.startswith("time/")):
        np.testing.assert_array_equal(rows[key], before[key][:3], err_msg=key)
    for key in (key for key in abandoned if not key.startswith("time/")):
        np.testing.assert_array_equal(abandoned[key], before[key][2:], err_msg=key)
    there = {p.name: sorted(q.name for q in p.iterdir()) for p in run.iterdir() if p.is_dir()}
    assert there["samples"] == [f"step_0000{step}.jsonl" for step in (0, 1, 2)]
    assert there["samples-abandoned"] == [f"step_0000{step}.jsonl" for step in (2, 3, 4)]
    assert there["tokens"] == ["step_00001.html", "step_00002.html"]
    assert there["tokens-abandoned"] == [f"step_0000{step}.html" for step in (2, 3, 4)]
    assert not [text for text in map(str, recwarn) if "not exact" in text or "holds some" in text]
    names = f"metrics-abandoned.csv, samples-abandoned, tokens-abandoned of {run}"
    said = "What came after RL step 1, that of the checkpoint, is made again; what was there is now"
    assert f"{said} in {names}\n" in caplog.text


def test_resume_by_path_continues_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(tmp_path / "here", "--trainer.max_epochs=1")
    run = tmp_path / "here" / NAME
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    last = f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}"
    own = f"continued in its own folder, {run}: leave "
    with pytest.raises(ValueError, match=rf"run\.folder=.*/elsewhere: .*{own}--run\.folder out"):
        fit(tmp_path / "elsewhere", last)
    with pytest.raises(ValueError, match=rf"run\.name=branch: .*{own}--run\.name out"):
        fit(tmp_path / "here", last, "--run.name=branch")
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    run.rename(run.with_name(f"{NAME}-2"))  # as when the name was taken
    quick = ["fit", "--config", str(CONFIGS / "quickstart.yaml"), *SMALL]
    main([*quick, last.replace(NAME, f"{NAME}-2")])
    assert metrics(tmp_path / "here", f"{NAME}-2")["step"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == [f"{NAME}-2"]


def test_a_changed_experiment_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, "--trainer.max_epochs=1")
    before = (tmp_path / NAME / "metrics.csv").read_bytes()
    changes = ["--model.loss.init_args.clip_high=0.28", "--data.group_size=8"]
    with pytest.raises(ValueError, match="another configuration") as error:
        fit(tmp_path, "--ckpt_path=last", *changes)
    assert "model.loss.init_args.clip_high: 0.2 -> 0.28" in str(error.value)
    assert "data.group_size: 4 -> 8" in str(error.value)
    assert (tmp_path / NAME / "metrics.csv").read_bytes() == before


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"last"):
        fit(tmp_path, "--ckpt_path=last")
    assert not list(tmp_path.iterdir())
