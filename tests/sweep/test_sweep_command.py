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
