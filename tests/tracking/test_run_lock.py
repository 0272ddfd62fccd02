"""One owner of a run's folder, until it ends in any way."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from lit_entropy.tracking.run_lock import LOCK_FILE, RunLock


def owner_in_another_process(folder: Path) -> int:
    """The process that owns the folder, once it does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock = RunLock(folder)
        os.write(writer, b"owned")
        signal.pause()
        lock.release()
        os._exit(0)
    assert os.read(reader, 5) == b"owned"
    return pid


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    pid = owner_in_another_process(tmp_path)
    try:
        with pytest.raises(ValueError, match=rf"is in use by process {pid} on .*end it$"):
            RunLock(tmp_path)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert (tmp_path / LOCK_FILE).exists()  # of the killed process, and without its lock
    lock = RunLock(tmp_path)
    with pytest.raises(ValueError, match=f"process {os.getpid()} on"):
        RunLock(tmp_path)
    for _ in range(2):
        lock.release()
    assert list(tmp_path.iterdir()) == []
    RunLock(tmp_path).release()


def test_a_worker_that_outlives_its_owner_holds_no_lock(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock = RunLock(tmp_path)
        worker = os.fork()
        if worker == 0:
            lock.release()  # not its own: the file stays
            os.write(theirs, b"w" + str(os.getpid()).encode())
        signal.pause()
    worker = int(os.read(ours, 20)[1:])
    try:
        assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {pid} on ")
        with pytest.raises(ValueError, match=f"is in use by process {pid} on"):
            RunLock(tmp_path)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.kill(worker, 0)  # alive
        RunLock(tmp_path).release()
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(ours)
        os.close(theirs)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "valued").write_text("mine")
    (tmp_path / "run").mkdir()
    for target in ("valued", "missing"):
        (tmp_path / "run" / LOCK_FILE).symlink_to(tmp_path / target)
        with pytest.raises(ValueError, match=r"run/\.lock is a link, .*: remove it"):
            RunLock(tmp_path / "run")
        (tmp_path / "run" / LOCK_FILE).unlink()
    assert (tmp_path / "valued").read_text() == "mine" and not (tmp_path / "missing").exists()
    RunLock(tmp_path / "run").release()


def test_a_file_that_its_owner_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened before the owner's release, locked after it: another may own a new file by then."""
    first = RunLock(tmp_path)
    flock, calls = fcntl.flock, []

    def late(file: int, operation: int) -> None:
        if not calls:
            first.release()
        calls.append(operation)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    second = RunLock(tmp_path)
    assert len(calls) == 3 and (tmp_path / LOCK_FILE).exists()
    with pytest.raises(ValueError, match="in use"):
        RunLock(tmp_path)
    second.release()


def test_who_deletes_the_file_makes_no_room(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    (tmp_path / LOCK_FILE).unlink()
    for _ in range(2):
        with pytest.raises(ValueError, match="is in use by another process: a second"):
            RunLock(tmp_path)
    first.release()
    second = RunLock(tmp_path)
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_one_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a link, a relative path, a moved parent."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "a")
    first = RunLock(tmp_path / "runs" / "a")
    monkeypatch.chdir(tmp_path / "runs")
    for name in (tmp_path / "link", Path("a"), Path("../runs/./a")):
        with pytest.raises(ValueError, match=f"is in use by process {os.getpid()} on "):
            RunLock(name)
    first.release()


def test_the_name_of_an_owner_is_no_lock(tmp_path: Path) -> None:
    """It is left by a process that was killed, here or on another machine."""
    (tmp_path / LOCK_FILE).write_text(f"process {os.getppid()} on elsewhere")
    lock = RunLock(tmp_path)
    assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {os.getpid()} on ")
    lock.release()


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match=r"without locks \(No locks available\)"):
        RunLock(tmp_path).release()
