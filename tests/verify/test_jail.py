"""The jailed process: its limits, its death by any hand, and that it never stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lit_entropy.verify import jail as jail_module
from lit_entropy.verify.jail import CheckerError, Jail

HALF = {"gold": "1/2", "answer": "0.5", "whole": False}
TOWER = {"gold": "1/2", "answer": "tower", "whole": False}
#: The package's own program with a checker that is loaded at once.
PROGRAM = Path(__file__).with_name("fractions_child.py")


@pytest.fixture(autouse=True)
def _fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail_module, "_CHILD", PROGRAM)


def fractions_jail(cpu_seconds: float = 30.0, memory_mb: int = 1024) -> Jail:
    return Jail("fractions", cpu_seconds, memory_mb)


@pytest.fixture
def jail() -> Iterator[Jail]:
    jail = fractions_jail()
    yield jail
    jail.close()


def members(session: int) -> list[int]:
    """The living processes of a session: the jailed process and its worker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def worker_of(jail: Jail) -> int:
    assert jail.pid is not None
    (worker,) = [pid for pid in members(jail.pid) if pid != jail.pid]
    return worker


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_reply_and_the_same_process_again(jail: Jail) -> None:
    assert jail.pid is None
    first = jail.ask(HALF)
    pid = jail.pid
    assert first["verdict"] is True and jail.ask(HALF)["verdict"] is True
    assert jail.pid == pid and first["id"] + 1 == jail.ask(HALF)["id"] - 1


def test_processor_time_ends_a_request_and_only_the_worker() -> None:
    jail = fractions_jail(cpu_seconds=0.5)
    try:
        assert jail.ask(TOWER)["failure"] == "timeout"
        pid = jail.pid
        assert jail.ask(TOWER)["failure"] == "timeout"
        assert jail.ask(HALF)["verdict"] is True
        assert jail.pid == pid  # no new start: another worker was forked
    finally:
        jail.close()


def test_a_worker_hands_over_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail_module, "REQUESTS_A_WORKER", 3)
    jail = fractions_jail()
    try:
        assert jail.ask(HALF)["verdict"] is True
        pid, first = jail.pid, worker_of(jail)
        assert [jail.ask(HALF)["verdict"] for _ in range(10)] == [True] * 10
        assert jail.pid == pid and worker_of(jail) != first
    finally:
        jail.close()


def test_a_stopped_worker_is_ended_by_the_clock(jail: Jail) -> None:
    assert jail.ask(HALF)["verdict"] is True
    jail.cpu_seconds = 0.1  # of the clock's limit; the process keeps its own
    os.kill(worker_of(jail), signal.SIGSTOP)
    assert jail.ask(HALF) == {"failure": "timeout", "clock": True}
    assert jail.ask({**HALF, "answer": "0.25"}).get("verdict", False) is False
    jail.cpu_seconds = 30.0
    assert jail.ask(HALF)["verdict"] is True


@pytest.mark.parametrize("whose", ["worker", "process", "both"])
def test_killed_from_outside_between_requests(jail: Jail, whose: str) -> None:
    for _ in range(2):
        assert jail.ask(HALF)["verdict"] is True
        worker, process = worker_of(jail), jail.pid
        assert process is not None
        if whose == "both":
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill({"worker": worker, "process": process}[whose], signal.SIGKILL)
        assert wait_until(lambda: worker not in members(process))  # noqa: B023
    assert jail.ask(HALF)["verdict"] is True


def test_killed_from_outside_during_a_request(jail: Jail) -> None:
    """What was asked is not known, the next is; the death is no verdict."""
    assert jail.ask(HALF)["verdict"] is True
    worker = worker_of(jail)
    killer = threading.Timer(0.5, os.kill, (worker, signal.SIGKILL))
    killer.start()
    reply = jail.ask(TOWER)
    killer.join()
    assert reply["failure"] == "crashed" and "verdict" not in reply
    assert jail.ask(HALF)["verdict"] is True


def test_a_process_that_dies_after_it_was_sent_a_request_is_replaced(jail: Jail) -> None:
    """Sending succeeds while the process is dying; the request is not lost with it."""
    assert jail.ask(HALF)["verdict"] is True
    session = jail.pid
    assert session is not None
    os.killpg(session, signal.SIGSTOP)
    killer = threading.Timer(0.5, os.killpg, (session, signal.SIGKILL))
    killer.start()
    assert jail.ask(HALF)["verdict"] is True and jail.pid != session
    killer.join()


def test_from_a_thread_that_ends() -> None:
    jail = fractions_jail()
    replies: list[object] = []
    before = signal.getsignal(signal.SIGALRM)

    def ask() -> None:
        replies.append(jail.ask(HALF)["verdict"])

    try:
        for _ in range(2):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        pid = jail.pid
        assert jail.ask(HALF)["verdict"] is True and jail.pid == pid  # it outlives its thread
        assert replies == [True, True]
        assert signal.getsignal(signal.SIGALRM) == before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        jail.close()


def test_close_leaves_no_process(jail: Jail) -> None:
    jail.ask(HALF)
    pid = jail.pid
    assert pid is not None and len(members(pid)) == 2
    jail.close()
    assert wait_until(lambda: members(pid) == []) and jail.pid is None
    assert jail.ask(HALF)["verdict"] is True  # usable again
    pid = jail.pid
    assert pid is not None
    del jail  # the fixture still holds it
    assert len(members(pid)) == 2


SCRIPT = """
import pathlib, sys, threading
from lit_entropy.verify import jail as jail_module
jail_module._CHILD = pathlib.Path(sys.argv[2])
jail = jail_module.Jail("fractions", 20.0, 1024)
jail.ask({"gold": "1", "answer": "2", "whole": False})
print(jail.pid, flush=True)
if sys.argv[1] == "busy":
    threading.Timer(0.5, lambda: print("asked", flush=True)).start()
    jail.ask({"gold": "1", "answer": "tower", "whole": False})
elif sys.argv[1] == "idle":
    print("asked", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["idle", "busy", "exit"])
def test_no_orphan(state: str) -> None:
    """After SIGKILL of its parent, idle or at work, and after its parent's own end."""
    command = [sys.executable, "-c", SCRIPT, state, str(PROGRAM)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        session = int(parent.stdout.readline())
        if state == "exit":
            assert parent.wait(60) == 0
        else:
            assert parent.stdout.readline() == "asked\n" and len(members(session)) == 2
            parent.kill()
            parent.wait(60)
    assert wait_until(lambda: members(session) == [], 15.0)


def test_the_environment_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-7c1f")
    monkeypatch.setenv("SOME_TOKEN", "canary-7c1f")
    jail = fractions_jail()
    try:
        jail.ask(HALF)
        assert jail.pid is not None
        for pid in members(jail.pid):
            for file in ("environ", "cmdline"):
                content = Path(f"/proc/{pid}/{file}").read_bytes()
                assert content and b"canary" not in content
            names = {
                entry.partition(b"=")[0].decode()
                for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if entry
            }
            allowed = {*jail_module.ENVIRONMENT, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
            assert names <= allowed and "PATH" in names
    finally:
        jail.close()


def test_the_limits_are_set_and_the_process_is_small(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Of the process that checks mathematics, which imports its package once."""
    monkeypatch.undo()
    jail = Jail("math_verify", 30.0, 1024)
    request.addfinalizer(jail.close)
    assert jail.ask(HALF)["verdict"] is True
    limits = Path(f"/proc/{worker_of(jail)}/limits").read_text().splitlines()
    values = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert values["Max address space"] == [str(1024 * 2**20)] * 2
    assert values["Max file size"] == ["0", "0"] and values["Max core file size"] == ["0", "0"]
    assert values["Max processes"] == ["0", "0"]
    modules = Path(f"/proc/{jail.pid}/maps").read_text()
    assert "/torch/" not in modules and "libtorch" not in modules


def test_memory_is_bounded() -> None:
    """48 MiB and their copies do not fit into 96 MiB of addresses, and do into 512."""
    request = {**HALF, "padding": "x" * (48 * 2**20)}
    small, large = fractions_jail(memory_mb=96), fractions_jail(memory_mb=512)
    try:
        assert small.ask(request)["failure"] == "crashed"
        assert large.ask(request)["verdict"] is True
        assert small.ask(HALF)["verdict"] is True
    finally:
        small.close()
        large.close()


def test_a_process_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    jail = Jail("no_such_kind", 1.0, 1024)
    with pytest.raises(CheckerError, match=r"did not start in 3 tries: (.|\n)*KeyError"):
        jail.ask(HALF)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CheckerError, match="ended with code 1"):
        fractions_jail().ask(HALF)


def test_a_process_that_cannot_be_launched_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for a process is no property of an answer: no verdict, not even an unknown one."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(CheckerError, match=r"did not start in 3 tries: .*Too many open files"):
        fractions_jail().ask(HALF)


PARROT = """
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
connection.recv_bytes()
connection.send_bytes(b"ready")
while True:
    connection.recv_bytes()
    connection.send_bytes({reply})
"""


@pytest.mark.parametrize("reply", ["no JSON", "[1]", "{}", "[" * 9000])
def test_a_reply_that_is_none_of_the_program_s_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    program = tmp_path / "parrot.py"
    program.write_text(PARROT.format(reply=repr(reply.encode())))
    monkeypatch.setattr(jail_module, "_CHILD", program)
    jail = fractions_jail()
    assert jail.ask(HALF) == {"failure": "crashed"} and jail.pid is None


def test_a_reply_that_stops_halfway_is_ended_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "half.py"
    half = 'import os, struct, time; os.write(int(sys.argv[1]), struct.pack("!i", 99) + b"{")'
    text = PARROT.format(reply="b''").replace("    connection.send_bytes(b'')", f"    {half}")
    program.write_text(f"{text}    time.sleep(60)\n")
    monkeypatch.setattr(jail_module, "_CHILD", program)
    monkeypatch.setattr(jail_module, "CLOCK_FACTOR", 0.5)
    jail = fractions_jail(cpu_seconds=4.0)
    start = time.monotonic()
    assert jail.ask(HALF) == {"failure": "timeout", "clock": True} and jail.pid is None
    assert time.monotonic() - start < 50


def test_deaths_in_a_row_that_a_start_does_not_mend_are_an_error(
    jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's answers may kill a process; then it starts again. If it cannot: an error."""
    jail.ask(HALF)
    for _ in range(jail_module.PATIENCE):
        killer = threading.Timer(0.5, os.kill, (worker_of(jail), signal.SIGKILL))
        killer.start()
        assert jail.ask(TOWER)["failure"] == "crashed"
        killer.join()
        assert wait_until(lambda: len(members(jail.pid or 0)) == 2)
    before = jail.pid
    assert jail.ask(HALF)["verdict"] is True and jail.pid != before
    session = jail.pid or 0
    os.kill(session, signal.SIGKILL)
    assert wait_until(lambda: members(session) == [])
    monkeypatch.setattr(jail_module, "_CHILD", Path("/no/such/file.py"))
    with pytest.raises(CheckerError, match="did not start in 3 tries"):
        jail.ask(HALF)


def test_a_forked_process_starts_its_own(jail: Jail) -> None:
    jail.ask(HALF)
    mine = jail.pid
    reader, writer = os.pipe()
    if os.fork() == 0:
        reply = jail.ask(HALF)["verdict"]
        other = jail.pid
        jail.close()
        os.write(writer, json.dumps([reply, other]).encode())
        os._exit(0)
    os.close(writer)
    reply, other = json.loads(os.read(reader, 1000))
    os.close(reader)
    os.wait()
    assert reply is True and other != mine
    assert jail.pid == mine and jail.ask(HALF)["verdict"] is True
