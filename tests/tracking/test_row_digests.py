"""Rows of metrics.csv that are missing, altered or doubled before a checkpoint are noticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lit_entropy.tracking.csv_logger import RunLogger
from lit_entropy.tracking.metrics_file import MetricsFile, read_rows
from lit_entropy.tracking.row_digests import changed_rows, row_digest


def written(path: Path, steps: int = 4) -> MetricsFile:
    table = MetricsFile(path)
    for step in range(1, steps + 1):
        table.write(step, {"a": step / 3, "b": step * 0.1})
    return table


def problems(path: Path, noted: dict[str, object]) -> dict[int, str]:
    return changed_rows(noted, read_rows(path))


#: Lines of the table: 0 is the header, line n is RL step n.
CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], dict[int, str]]] = {
    "as it was": (lambda lines: lines, {}),
    "a row less": (lambda lines: [*lines[:2], *lines[3:]], {2: "is missing"}),
    "the first row less": (lambda lines: [lines[0], *lines[2:]], {1: "is missing"}),
    "the last row less": (lambda lines: lines[:4], {4: "is missing"}),
    "the last line cut": (lambda lines: [*lines[:4], lines[4][:-1]], {4: "is missing"}),
    "a digit": (
        lambda lines: [*lines[:3], lines[3].replace("1.0,", "1.5,"), lines[4]],
        {3: "has other values"},
    ),
    "twice": (lambda lines: [*lines[:3], lines[2], *lines[3:]], {2: "is there 2 times"}),
    "another row": (lambda lines: [lines[0], "0,1.0,1.0\n", *lines[1:]], {0: "was not there"}),
    "a cell less": (lambda lines: [*lines[:2], "2,,0.2\n", *lines[3:]], {2: "has other values"}),
    "nothing": (lambda lines: lines[:1], dict.fromkeys([1, 2, 3, 4], "is missing")),
    "other columns": (
        lambda lines: ["step,a,c\n", *lines[1:]],
        dict.fromkeys([1, 2, 3, 4], "has other values"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named_by_its_rl_step(tmp_path: Path, change: str) -> None:
    path = tmp_path / "metrics.csv"
    noted = written(path).noted(4)
    edit, expected = CHANGES[change]
    path.write_text("".join(edit(path.read_text().splitlines(keepends=True))))
    assert problems(path, noted) == expected


def test_what_a_run_does_itself_is_no_change(tmp_path: Path) -> None:
    """Rows behind the checkpoint, columns that are new, more of the checkpoint's own row."""
    path = tmp_path / "metrics.csv"
    table = written(path, 3)
    noted = table.noted(3)
    table.write(3, {"val/accuracy": 0.5})
    for step in (4, 5):
        table.write(step, {"a": 1.0, "c": 2.0})
    assert problems(path, noted) == {}
    again = MetricsFile(path)
    again.write(4, {"d": 3.0})  # a resumed run repeats an RL step
    assert problems(path, noted) == {}
    later = again.noted(4)
    assert later["steps"].tolist() == [1, 2, 3, 4] and later["last"] == ["a", "c", "d", "step"]
    again.write(5, {"d": 3.0})
    assert problems(path, later) == {} == problems(path, MetricsFile(path).noted(5))


def test_what_a_repetition_has_otherwise_is_no_change(tmp_path: Path) -> None:
    """Times, and what is not the run's own; a checkpoint of rows that were made again says so."""
    folder = tmp_path / "run"
    noted = []
    for speed in (1.0, 2.0):  # the same RL steps, before and after a resume
        logger = RunLogger(str(tmp_path), "run")
        for step in (1, 2, 3):
            logger.log_metrics({"a": 0.5 * step, "time/step": speed * step}, step)
            logger.log_others({"cpu/percent": 10 * speed}, step)
        noted.append(logger.noted_rows(3))
        if speed == 1.0:
            logger.require_rows(noted[0])
            logger.resume_after(0)
    assert noted[0]["digests"].equal(noted[1]["digests"])
    assert noted[0]["others"] == ["cpu/percent"]
    logger = RunLogger(str(tmp_path), "run")
    for rows in noted:
        logger.require_rows(rows)
    path = folder / "metrics.csv"
    text = path.read_text()
    path.write_text(text.replace("20.0", "77.0").replace("4.0", "9.5"))
    logger.require_rows(noted[0])
    path.write_text(text.replace("0.5", "0.6"))
    aside = r"RL step 1 has other .* \(an earlier resume has set rows aside in metrics-abandoned\."
    with pytest.raises(ValueError, match=aside):
        logger.require_rows(noted[0])


def test_a_resumed_run_leaves_out_what_the_first_part_did(tmp_path: Path) -> None:
    logger = RunLogger(str(tmp_path), "run")
    for step in (1, 2):
        logger.log_metrics({"a": 0.5 * step}, step)
        logger.log_others({"cpu/percent": 10.0 * step}, step)
    first = logger.noted_rows(2)
    again = RunLogger(str(tmp_path), "run")
    again.resume_after(2)
    again.log_metrics({"a": 1.5}, 3)
    again.log_others({"cpu/percent": 30.0}, 3)
    assert again.noted_rows(2)["digests"].equal(first["digests"])


def test_a_checkpoint_of_an_earlier_version_noted_every_cell(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = MetricsFile(path)
    table.write(1, {"a": 0.5, "time/step": 2.0})
    noted = table.noted(1)
    del noted["others"]
    assert problems(path, noted) == {1: "has other values"}
    noted["digests"] = torch.tensor([row_digest({"a": "0.5", "step": "1", "time/step": "2.0"})])
    assert problems(path, noted) == {}


def test_a_digest_is_that_of_names_and_values() -> None:
    row = {"step": "1", "a": "0.5", "b": "0.25"}
    assert row_digest(row) == row_digest(dict(reversed(row.items())))
    others = [{"step": "1", "a": "0.25", "b": "0.5"}, {"step": "1", "a": "0.5"}, row | {"a": "5"}]
    assert len({row_digest(other) for other in [row, *others]}) == 4


def test_the_message_says_what_to_do(tmp_path: Path) -> None:
    logger = RunLogger(str(tmp_path), "run")
    for step in (1, 2, 3):
        logger.log_metrics({"a": 0.1 * step}, step)
    noted = logger.noted_rows(3)
    logger.require_rows(noted)
    path = tmp_path / "run" / "metrics.csv"
    path.write_text(path.read_text().replace("0.1\n", "0.9\n"))
    with pytest.raises(ValueError) as caught:
        logger.require_rows(noted)
    assert str(caught.value) == (
        f"{path}: the row of RL step 1 has other values since the checkpoint was written. Restore "
        "the file, or set checkpoint.accept_edited_metrics=true to go on with it as it is"
    )
    path.unlink()
    with pytest.raises(ValueError, match=r"RL step 1 is missing .*, and 2 further ones changed\."):
        logger.require_rows(noted)


def test_the_cost_of_a_long_run_stays_small(tmp_path: Path) -> None:
    table = written(tmp_path / "metrics.csv", 2000)
    start = time.process_time()
    noted = table.noted(2000)
    assert time.process_time() - start < 0.05  # about 1 ms: no row is read again
    assert noted["digests"].numel() == 2000
