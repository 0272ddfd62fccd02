"""Full disks, limits, signals, a second owner and hostile parts: a run ends by name and goes on."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import time
from pathlib import Path

import pytest
from attacked_runs import CONFIGURATIONS, NAME, SMALLEST
from file_events import NONE, Fault, kind_of
from hostile_parts import HOSTILE
from hostile_runs import PARTS, attack_by_part
from killed_runs import attack, reference, run_watched
from processes import start
from same_runs import differences

pytestmark = pytest.mark.timeout(1200)
GRPO = "GRPO"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "whole"
    reference(GRPO, folder)
    return folder


def number_of(whole: Path, place: str, nth: int = 1) -> int:
    """The nth event that is described so."""
    lines = (whole / "events").read_text().splitlines()
    return [at for at, line in enumerate(lines, 1) if re.match(place, kind_of(line))][nth - 1]


#: Events of a disk that is full: in the table, in a checkpoint, at its sync and its rename.
FULL = [
    ("write run/metrics.csv$", 1), ("write run/checkpoints/last.ckpt", 3),
    ("fsync run/checkpoints/rl_step", 2), ("write run/metrics.csv.tmp", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "nth", "lasting"),
    [(*FULL[0], True), *((*event, False) for event in FULL)]
    + [pytest.param(*event, True, marks=pytest.mark.slow) for event in FULL[1:]],
)
def test_a_full_disk_ends_the_run_by_name_and_loses_nothing(
    tmp_path: Path, whole: Path, place: str, nth: int, lasting: bool
) -> None:
    """For a moment, half of a write being taken, or for good."""
    at = number_of(whole, place, nth)
    fault = Fault(at, torn=True, error=errno.ENOSPC, lasting=lasting)
    outcome = attack(GRPO, [fault], tmp_path / "run", whole)
    assert (outcome.mismatches, outcome.lost_rows) == ([], 0), outcome
    assert outcome.codes == [1, 0]
    said = outcome.logs[0].strip().splitlines()[-1]
    assert said.startswith("lit-entropy: disk full (No space left on device) while "), said


def test_a_disk_that_takes_halves_changes_nothing(tmp_path: Path, whole: Path) -> None:
    """Every write of every file takes a part of its bytes, without an error."""
    outcome = attack(GRPO, [Fault(short=True)], tmp_path / "run", whole)
    assert (outcome.codes, outcome.mismatches, outcome.lost_rows) == ([0], [], 0), outcome


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("close run/metrics.csv$", "/runs/run/metrics.csv: free"),
        pytest.param("close run/checkpoints/last", "/last.ckpt, which", marks=pytest.mark.slow),
        pytest.param("close run/config.yaml", "/config.yaml, which", marks=pytest.mark.slow),
    ],
)
def test_a_quota_that_is_said_at_a_close(
    tmp_path: Path, whole: Path, place: str, said: str
) -> None:
    """As NFS does, which takes every write before."""
    outcome = attack(GRPO, [Fault(place=place, error=errno.EDQUOT)], tmp_path / "run", whole)
    assert (outcome.codes, outcome.mismatches, outcome.lost_rows) == ([1, 0], [], 0), outcome
    assert "disk full (Disk quota exceeded) while writing " in outcome.logs[0]
    assert said in outcome.logs[0].strip().splitlines()[-1]


def test_a_file_system_that_became_read_only(tmp_path: Path, whole: Path) -> None:
    fault = Fault(number_of(whole, "write run/metrics.csv$"), error=errno.EROFS, lasting=True)
    outcome = attack(GRPO, [fault], tmp_path / "run", whole)
    assert (outcome.mismatches, outcome.lost_rows) == ([], 0), outcome
    assert outcome.codes[0] not in (0, None) and "Read-only file system" in outcome.logs[0]


def run_limited(folder: str, arguments: list[str]) -> None:
    """Files of 100 kB at most: no checkpoint is that small."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    run_watched(folder, arguments, NONE)


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    process = start(tmp_path / "log", run_limited, str(tmp_path), CONFIGURATIONS[GRPO])
    process.join(300)
    said = (tmp_path / "log").read_text().strip().splitlines()[-1]
    assert process.exitcode == 1 and said.startswith("lit-entropy: disk full (File too large)")
    assert [path.name for path in (tmp_path / "runs" / NAME).rglob("*.tmp-*")] == []


def test_kills_before_every_newest_checkpoint(tmp_path: Path, whole: Path) -> None:
    """What was over when it was killed, and is continued from its numbered one, has both."""
    fault = Fault(place="rename run/checkpoints/last.ckpt")
    outcome = attack(GRPO, [fault] * 3, tmp_path / "run", whole)
    assert outcome.named == [f"checkpoints/rl_step_0000{step}.ckpt" for step in (1, 2, 3)]
    assert (outcome.kills, outcome.mismatches, outcome.lost_rows) == (3, [], 0), outcome


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)],
)
def test_signals_end_in_a_run_that_goes_on(tmp_path: Path, whole: Path, number: int) -> None:
    """Twice: the second while what the first has begun is under way."""
    at = number_of(whole, "rename run/checkpoints/last.ckpt", 2)
    outcome = attack(GRPO, [Fault(at, signal=number, lasting=True)], tmp_path / "run", whole)
    assert (outcome.mismatches, outcome.lost_rows) == ([], 0), outcome
    assert outcome.codes[0] not in (0, None) and outcome.codes[-1] == 0


def test_a_second_owner_is_refused_and_the_first_is_unharmed(tmp_path: Path, whole: Path) -> None:
    """The first waits at a write while the second asks for its run."""
    at = number_of(whole, "rename run/checkpoints/last.ckpt", 2)
    fault = Fault(at, signal=signal.SIGSTOP)
    first = start(tmp_path / "log", run_watched, str(tmp_path), CONFIGURATIONS[GRPO], fault)
    deadline = time.monotonic() + 200
    while stopped(first.pid) is False:
        assert first.is_alive() and time.monotonic() < deadline
        time.sleep(0.05)
    try:
        asks = [*CONFIGURATIONS[GRPO], "--ckpt_path=last"]
        second = start(tmp_path / "second", run_beside, str(tmp_path), asks)
        second.join(200)
        said = (tmp_path / "second").read_text()
        assert second.exitcode == 2 and f"is in use by process {first.pid} on" in said
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.join(200)
    assert first.exitcode == 0 and differences(tmp_path, whole) == []


def stopped(pid: int) -> bool:
    """Whether a process has been stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def run_beside(folder: str, arguments: list[str]) -> None:
    """A command in the same place that counts nothing."""
    import sys

    from lit_entropy.cli.start import console

    os.chdir(folder)
    sys.argv = ["lit-entropy", "fit", *SMALLEST, *arguments]
    console()


@pytest.fixture(scope="module")
def inert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the parts that turn hostile, before they do."""
    folder = tmp_path_factory.mktemp("inert") / "whole"
    reference(PARTS, folder)
    return folder


#: One of each kind; the long form has all.
SHORT = [
    "task gives text", "task raises", "task stops", "loss exits", "loss is NaN", "loss is detached",
    "callback raises", "callback stops", "callback logs text", "deletes metrics.csv",
]  # fmt: skip


@pytest.mark.parametrize("mode", SHORT)
def test_hostile_parts_end_the_run_by_name_and_lose_nothing(
    tmp_path: Path, inert: Path, mode: str
) -> None:
    ended = attack_by_part(mode, tmp_path / "run", inert)
    assert ended.wrong == [], ended


def test_a_part_that_prints_without_end_changes_nothing(tmp_path: Path, inert: Path) -> None:
    arguments = [str(tmp_path), CONFIGURATIONS[PARTS], NONE]
    environment = {HOSTILE: "prints without end"}
    process = start(tmp_path / "log", run_watched, *arguments, environment=environment)
    process.join(300)
    assert process.exitcode == 0 and differences(tmp_path, inert) == []
    assert (tmp_path / "log").stat().st_size > 20_000_000
