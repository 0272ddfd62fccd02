"""A sweep through the real command line: a run that fails, the table, and what is done again."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from runs import ALONE, UNNAMED

from lit_entropy.cli.main import main
from lit_entropy.cli.start import console
from lit_entropy.errors import FailedRunsError
from lit_entropy.sweep.command import compare_runs, sweep
from lit_entropy.sweep.grid import Sweep, SweepRun, runs
from lit_entropy.sweep.table import Comparison
from lit_entropy.tracking.metrics_file import read_metrics, read_rows

TASKS = "[ChainArithmetic, broken_parts.NaNReward]"
KEY = "entropy/token_mean"
#: The run whose rewards are no numbers.
FAILED = "broken_parts.NaNReward-seed4"


def test_a_run_that_fails_is_named_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = ["--trainer.callbacks=lit_entropy.callbacks.EntropyMonitor", ALONE[1]]
    small = [option for option in UNNAMED if "data.task" not in option]
    words = ["sweep", "--config", "quickstart", *small, *measured, "--over.data.task", TASKS]
    words += ["--seeds", "[4]", "--jobs", "1", "--metrics", f"[{KEY}, no/key]"]
    output = tmp_path / "out"
    log = output / "logs" / f"{FAILED}.log"
    with pytest.raises(FailedRunsError) as failed:
        main([*words, "--output", str(output)])
    assert str(failed.value) == (
        f"1 run failed: {FAILED} ({log}); the same command tries again what is missing"
    )
    assert "NonFiniteError: reward of problem" in log.read_text()
    said = capsys.readouterr().out
    assert "0 of 2 runs are finished, 2 to go" in said and f"FAILED, see {log}" in said
    run = output / "runs" / "ChainArithmetic-seed4"
    assert (run / "config.yaml").exists() and (run / "checkpoints" / "last.ckpt").exists()
    last = read_metrics(run)[KEY][-1]
    (row,) = csv.DictReader((output / "sweep.csv").open())
    assert (row["point"], row["metric"], row["half_width"]) == ("ChainArithmetic", KEY, "")
    assert float(row["mean"]) == last
    text = (output / "sweep.md").read_text()
    for remark in ("No intervals: they are given from 3 seeds on.", "no/key: logged by no run",
                   f"Not finished, and not in the table: {FAILED}."):  # fmt: skip
        assert remark in text and remark in said
    record = json.loads((output / "sweep.json").read_text())
    assert record["seeds"] == [4] and record["baseline"] == "ChainArithmetic"
    assert record["rows"][0]["values"] == {"4": last}
    assert "--seed_everything 4" in record["runs"][FAILED]
    assert (output / "figures" / "report.html").exists()
    assert (output / "figures" / "sweep.png").stat().st_size > 10_000
    before = read_rows(run / "metrics.csv")
    assert "Finished here too" not in text
    other = output / "runs" / "Countdown-seed4"  # of another sweep over the same key
    shutil.copytree(run, other)
    with pytest.raises(FailedRunsError, match=re.escape(f"1 run failed: {FAILED}")):
        main([*words, "--output", str(output)])
    assert "1 of 2 runs are finished, 1 to go" in capsys.readouterr().out
    assert read_rows(run / "metrics.csv") == before
    assert (
        "Finished here too, and not in the table: Countdown-seed4. One sweep over all"
        in (output / "sweep.md").read_text()
    )
    with pytest.raises(ValueError, match=r"(?s)other settings.*max_epochs 2 .*max_epochs 5"):
        main([*words, "--output", str(output), "--trainer.max_epochs=5"])


def finished(folder: Path, rows: dict[int, str]) -> tuple[Sweep, list[SweepRun]]:
    """Runs of one point with the rows of their metrics, by seed, as training leaves them."""
    wanted = Sweep((), {"model.loss": ["PPOClip"]}, tuple(rows))
    planned = runs(wanted)
    for run in planned:
        place = folder / "runs" / run.name
        place.mkdir(parents=True)
        (place / "metrics.csv").write_text(f"step,{KEY},val/accuracy\n{rows[run.seed]}")
        record = {"settings": list(run.settings), "digest": run.digest}
        (place / "done.json").write_text(json.dumps(record))
    return wanted, planned


def without_figures(words: list[str]) -> None:
    """A command line that finds no figure of the paper to draw."""
    output = Path(words[words.index("--output") + 1])
    output.mkdir(parents=True, exist_ok=True)
    (output / "report.json").write_text('{"figures": {}}')


@pytest.mark.parametrize(
    "metrics, drawn", [([KEY, "val/accuracy"], True), (["val/accuracy"], False)]
)
def test_seeds_that_share_no_step_cost_a_panel_alone(
    metrics: list[str], drawn: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, planned = finished(tmp_path, {0: "1,2.0,0.5\n2,2.0,\n", 1: "1,3.0,\n2,3.0,0.75\n"})
    compare_runs(without_figures, wanted, planned, tmp_path, Comparison(metrics, "PPOClip"))
    remark = (
        "val/accuracy: has no panel in the figure, as runs ['PPOClip-seed0', 'PPOClip-seed1'] "
        "share no RL step with 'val/accuracy': give them one cadence"
    )
    said = capsys.readouterr().out
    assert f"- {remark}\n" in said and f"- {remark}\n" in (tmp_path / "sweep.md").read_text()
    assert "| PPOClip | `val/accuracy` | 0.625 | baseline | 0, 1 |" in said
    assert (tmp_path / "figures" / "sweep.png").exists() == drawn
    assert "figures of the paper: none that these runs can show" in said


@pytest.mark.parametrize("error", [ValueError("no panel"), SystemExit("no panel")])
def test_failed_runs_are_named_whatever_the_figures_come_to(
    error: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    over, failed = {"model.loss": ["PPOClip"]}, ["PPOClip-seed0"]
    monkeypatch.setattr("lit_entropy.sweep.command.compare_runs", fail)
    monkeypatch.setattr("lit_entropy.sweep.command.train", lambda *arguments: failed)
    with pytest.raises(FailedRunsError, match=r"^1 run failed: PPOClip-seed0 \("):
        sweep(without_plan, [], over=over, seeds=[0], output=str(tmp_path))
    assert "the comparison is not complete: no panel\n" in capsys.readouterr().out
    failed.clear()
    with pytest.raises(type(error), match="no panel"):
        sweep(without_plan, [], over=over, seeds=[0], output=str(tmp_path))


def without_plan(words: list[str]) -> None:
    """A command line that takes every setting."""


def test_failed_runs_are_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> None:
        raise FailedRunsError(["a-seed0", "b-seed1"], Path("logs"))

    monkeypatch.setattr("lit_entropy.cli.start.start", fail)
    with pytest.raises(SystemExit) as end:
        console()
    assert end.value.code == 1
    assert capsys.readouterr().err == (
        "lit-entropy: 2 runs failed: a-seed0 (logs/a-seed0.log), b-seed1 (logs/b-seed1.log); the "
        "same command tries again what is missing\n"
    )


@pytest.mark.parametrize("below", ["", "figures"])
def test_a_file_in_the_place_of_a_folder_is_named_before_anything_is_trained(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lit_entropy.sweep.command.train", None)
    output = tmp_path / "out"
    file = output / below
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    over = {"model.loss": ["PPOClip"]}
    with pytest.raises(ValueError, match=f"{file} is no folder; name another one"):
        sweep(without_plan, [], over=over, seeds=[0], output=str(output))
    assert file.read_text() == "mine"
