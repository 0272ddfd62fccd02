"""The attacks see what they are for: events, losses, slopes."""

from __future__ import annotations

import errno
import json
import multiprocessing
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from attacked_runs import NAME
from file_events import NONE, Fault, FileEvents, kind_of
from killed_runs import spread
from long_form import BROKEN, failed, table
from same_runs import differences, lost_rows
from soak import COUNTED, line, slopes

from lit_entropy.atomic import atomic_write

FORK = multiprocessing.get_context("fork")
#: What replacing a file by a write beside it does; the folder is synced without a change.
REPLACED = ["open a.tmp-#", "write a.tmp-#", "fsync a.tmp-#", "rename a.tmp-# a"]


def replace(folder: Path, record: Path, fault: Fault) -> None:
    FileEvents(folder, record, fault)
    with atomic_write(folder / "a") as file:
        file.write(b"12345678")


def events(folder: Path, fault: Fault) -> tuple[int | None, list[str], dict[str, bytes]]:
    """Exit code, events and files of a process that replaces a file."""
    place, record = folder / "place", folder / "record"
    place.mkdir()
    process = FORK.Process(target=replace, args=(place, record, fault))
    process.start()
    process.join(60)
    lines = [kind_of(text) for text in record.read_text().splitlines()]
    return process.exitcode, lines, {p.name[:2]: p.read_bytes() for p in place.iterdir()}


def test_every_change_is_an_event(tmp_path: Path) -> None:
    code, lines, files = events(tmp_path, NONE)
    assert (code, lines[:4], files) == (0, REPLACED, {"a": b"12345678"})


@pytest.mark.parametrize(
    ("fault", "content"),
    [(Fault(1), None), (Fault(2), b""), (Fault(2, torn=True), b"1234"), (Fault(4), b"12345678")],
)
def test_a_kill_leaves_what_was_there_before_the_event(
    tmp_path: Path, fault: Fault, content: bytes | None
) -> None:
    code, lines, files = events(tmp_path, fault)
    assert code == -signal.SIGKILL and lines == REPLACED[: fault.event]
    assert files == ({} if content is None else {"a.": content})


def test_a_full_disk_lets_files_be_removed(tmp_path: Path) -> None:
    code, lines, files = events(tmp_path, Fault(2, error=errno.ENOSPC, lasting=True))
    assert code == 1 and "remove a.tmp-#" in lines and files == {}


def made_run(folder: Path, cell: str = "0.5") -> Path:
    run = folder / "runs" / NAME
    (run / "checkpoints").mkdir(parents=True)
    (run / "metrics.csv").write_text(f"step,a,time/b\n1,{cell},{id(folder)}\n2,1.0,3\n3,1.5,4\n")
    torch.save({"state_dict": {"w": torch.ones(3)}}, run / "checkpoints" / "last.ckpt")
    (run / "config.yaml").write_text("a: 1\n")
    return run


def test_the_same_but_for_times_is_the_same(tmp_path: Path) -> None:
    made_run(tmp_path / "a"), made_run(tmp_path / "b")
    assert differences(tmp_path / "a", tmp_path / "b") == []
    assert lost_rows(tmp_path / "a" / "runs" / NAME / "metrics.csv") == 0


def test_each_loss_is_seen(tmp_path: Path) -> None:
    made_run(tmp_path / "b")
    run = made_run(tmp_path / "a", "0.5000000000000001")
    torch.save(
        {"state_dict": {"w": torch.tensor([1.0, 1.0, 1.0000001])}}, run / "checkpoints/last.ckpt"
    )
    (run / "config.yaml").unlink()
    (run / "config-2.yaml").touch()
    (run / "metrics.csv.tmp-123").touch()
    (run / "metrics-abandoned.csv").write_text("step,a\n3,1.5\n2,7.0\n")
    found = " | ".join(differences(tmp_path / "a", tmp_path / "b", ["config-2.yaml"]))
    assert found == (
        "left behind: runs/run/metrics.csv.tmp-123 | one file more: metrics.csv.tmp-123 | "
        "one file less: config.yaml | checkpoints/last.ckpt: .state_dict.w | "
        "metrics.csv: RL step 1: [('a', '0.5'), ('a', '0.5000000000000001')] | "
        "metrics-abandoned.csv: RL step 2 differs"
    )
    (run / "metrics.csv").write_text("step,a\n1,0.5\n3,1.0\n3,1.0\n")
    assert lost_rows(run / "metrics.csv") == 2  # one is lost, one is double


def test_kills_are_spread_over_the_kinds() -> None:
    lines = [f"{n} write file{n % 2}/a" if n % 10 else f"{n} open b" for n in range(1, 101)]
    assert spread(lines, 0, lambda line: line.split()[1]) == [1, 10]
    assert len(spread(lines, 25, kind_of)) == 25 and {1, 10} < set(spread(lines, 25, kind_of))


def test_the_slope_of_a_soak(tmp_path: Path) -> None:
    x = np.arange(10.0)
    slope, half = line(x, 3 * x + 7)
    assert slope == pytest.approx(3) and half == pytest.approx(0, abs=1e-9)
    # residuals +-1 in turn: s^2 = (10 - 15^2 / 82.5 / 9 ...) checked by numpy's own fit
    y = 3 * x + np.tile([1.0, -1.0], 5)
    (expected, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert line(x, y) == pytest.approx((expected, 2.306 * np.sqrt(covariance[0, 0])))
    rows = [[step, 500 + step / 100, 9, 1, 4, 0] for step in range(50, 5001, 50)]
    np.savetxt(tmp_path / "soak.csv", rows, delimiter=",")
    steps, growth = slopes(tmp_path / "soak.csv")
    assert steps == 5000 and list(growth) == list(COUNTED)
    assert growth["memory_mib"] == (pytest.approx(10), pytest.approx(0, abs=1e-6))
    assert growth["descriptors"] == (pytest.approx(0), pytest.approx(0))


def test_the_closing_table_and_the_exit_code() -> None:
    fine = {"kills": 300, "mismatches": 0, "lost or doubled rows": 0, "executed": 0}
    fine |= {"unbounded checks": 0, "restart max s": None, "memory": [0.25, 0.5]}
    others = dict.fromkeys(BROKEN, 0) | fine
    assert not failed(others) and json.dumps(others)
    assert table(fine).splitlines()[2:] == [
        "| kills | 300 |", "| mismatches | 0 |", "| lost or doubled rows | 0 |",
        "| executed | 0 |", "| unbounded checks | 0 |", "| restart max s | not measured |",
        "| memory | +0.25 ± 0.5 |",
    ]  # fmt: skip
    assert len(BROKEN) == 8
    for name in BROKEN:
        assert failed(others | {name: 1})
