"""Training what is missing: finished, interrupted, failed and foreign runs, and SIGKILL."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from processes import start

from lit_entropy.cli.main import main
from lit_entropy.figures.cells import Cell
from lit_entropy.jobs.job import Job
from lit_entropy.jobs.runner import cores, is_done, sole_user, train
from lit_entropy.reproduce.budget import Budget
from lit_entropy.reproduce.command import report_of
from lit_entropy.reproduce.jobs import PlannedRun, plan
from lit_entropy.tracking.metrics_file import read_rows

#: RL steps of the runs that are killed.
STEPS = 6
SMALL = {
    "model.policy.init_args.model": "chain-xs",
    "checkpoint.every_n_epochs": "1",
    "trainer.check_val_every_n_epoch": "2",
}


def runs(steps: int, **changes: str) -> list[PlannedRun]:
    cells = [Cell("grpo", "GRPO", "grpo", SMALL | changes)]
    return plan(cells, Budget(steps, 2, 2, "smoke", rollout=32))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """The metrics of a run, without times."""
    table = read_rows(folder / "runs" / name / "metrics.csv")
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in table]


def test_killed_runs_continue_and_the_report_is_the_same(tmp_path: Path) -> None:
    planned, whole, killed = runs(STEPS), tmp_path / "whole", tmp_path / "killed"
    assert train(main, planned, whole, 2) == []
    marker = f"LIT_ENTROPY_TEST_{os.getpid()}"  # its runs inherit it
    process = start(tmp_path / "log", train, main, planned, killed, 2, environment={marker: "1"})
    table = killed / "runs" / "grpo-seed0" / "metrics.csv"
    wait_for(lambda: table.exists() and len(read_rows(table)) > 2)
    assert with_environment(marker)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_for(lambda: not with_environment(marker))  # its runs end with it
    assert not is_done(planned[0], killed / "runs")
    before = len(read_rows(table))
    said: list[str] = []
    assert train(main, planned, killed, 2, said.append) == []
    assert said[0].endswith("2 to go")
    for run in planned:
        assert rows(killed, run.name) == rows(whole, run.name)
    assert before < len(read_rows(table)) == STEPS + 1
    reports = [
        report_of(planned, folder, ["1"], "tiny", "smoke").with_suffix(suffix).read_bytes()
        for folder in (whole, killed)
        for suffix in (".json", ".html")
    ]
    assert reports[:2] == reports[2:]


def test_a_finished_run_is_never_run_again(tmp_path: Path) -> None:
    planned = runs(1)[:1]
    assert train(main, planned, tmp_path, 1) == []
    table = tmp_path / "runs" / planned[0].name / "metrics.csv"
    before, said = table.stat().st_mtime_ns, []
    assert train(main, planned, tmp_path, 1, said.append) == []
    assert said == ["1 of 1 runs are finished, 0 to go"]
    assert table.stat().st_mtime_ns == before
    record = json.loads((table.parent / "done.json").read_text())
    words = json.dumps(planned[0].settings, separators=(",", ":"))
    assert record == {
        "settings": list(planned[0].settings),
        "digest": planned[0].digest,
        "settings_sha256": hashlib.sha256(words.encode()).hexdigest(),
    }
    with pytest.raises(ValueError, match=r"(?s)other settings.*max_epochs 1 .*max_epochs 3 "):
        train(main, runs(3)[:1], tmp_path, 1)
    (table.parent / "done.json").write_text(json.dumps({**record, "digest": "x"}))
    with pytest.raises(ValueError, match="configuration file it reads was changed"):
        train(main, planned, tmp_path, 1)


def test_a_run_that_fails_stops_no_other(tmp_path: Path) -> None:
    bad, good = runs(1, **{"model.temperature": "-1"})[0], runs(1)[1]
    said: list[str] = []
    assert train(main, [bad, good], tmp_path, 1, said.append) == [bad.name]
    assert "FAILED" in said[1] and "finished" in said[2]
    log = (tmp_path / "logs" / f"{bad.name}.log").read_text()
    assert "temperature=-1.0 must be a finite number >= 0.01" in log
    assert is_done(good, tmp_path / "runs") and not is_done(bad, tmp_path / "runs")


def test_cores_are_those_that_the_process_may_use() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, mine)
    assert cores() == len(mine)


def test_a_run_may_have_several_ranks(tmp_path: Path) -> None:
    """Lightning starts the second by the command of its process, which must be that of the run."""
    ranks = {"trainer.devices": "2", "trainer.strategy": "ddp", "trainer.accelerator": "cpu"}
    planned = runs(1, **ranks)[:1]
    assert train(main, planned, tmp_path, 1) == []
    log = (tmp_path / "logs" / f"{planned[0].name}.log").read_text()
    assert "MEMBER: 2/2" in log
    assert len(rows(tmp_path, planned[0].name)) == 2


class OneFile(Job):
    """A run of one configuration file."""

    settings = ("--config", "own.yaml")
    name = "own"

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        return self._root


def edits_its_file(arguments: list[str]) -> None:
    """A training in whose time somebody edits the configuration."""
    Path(arguments[arguments.index("--config") + 1]).write_text("seed_everything: 2\n")


def test_a_file_that_was_changed_during_the_training_is_said(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("seed_everything: 1\n")
    run = OneFile(tmp_path)
    (tmp_path / "runs" / "own" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "own" / "checkpoints" / "last.ckpt").touch()  # else it is set aside
    assert train(edits_its_file, [run], tmp_path, 1) == ["own"]
    assert not is_done(run, tmp_path / "runs")
    log = (tmp_path / "logs" / "own.log").read_text()
    assert "own: a configuration or data file that it reads was changed while it was" in log
    # as it stands now it may be trained
    assert train(edits_its_file, [run], tmp_path, 1) == [] and is_done(run, tmp_path / "runs")


def test_what_was_killed_before_its_first_checkpoint_is_kept(tmp_path: Path) -> None:
    planned = runs(1)[:1]
    folder = tmp_path / "runs" / planned[0].name
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("step\n0\n")
    assert train(main, planned, tmp_path, 1) == []
    kept = folder.with_name(f"{folder.name}.unfinished-1")
    assert (kept / "metrics.csv").read_text() == "step\n0\n"
    assert len(read_rows(folder / "metrics.csv")) == 2


def test_one_reproduction_at_a_time(tmp_path: Path) -> None:
    with (
        sole_user(tmp_path),
        pytest.raises(ValueError, match=f"is in use by process {os.getpid()} on "),
        sole_user(tmp_path),
    ):
        pass
    with sole_user(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def wait_for(condition: object, seconds: float = 300.0) -> None:
    """Until a condition holds; fails after a time that no machine needs."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def with_environment(marker: str) -> list[str]:
    """Processes, apart from this one, whose environment holds a name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        if marker.encode() in environment and path.parent.name != str(os.getpid()):
            found.append(path.parent.name)
    return found
