"""Servers of W&B that hang, drip, die or answer 500: seconds, one line, and a whole metrics.csv."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lit_entropy.tracking.csv_logger import RunLogger
from lit_entropy.tracking.wandb_logger import SafeWandbLogger
from lit_entropy.tracking.wandb_session import check_reachable

Answer = Callable[[socket.socket], None]
HEADER = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
ENDED = threading.Event()


def hang(connection: socket.socket) -> None:
    ENDED.wait(60)


def drip(connection: socket.socket) -> None:
    """A byte now and then, so that no time limit of a single read ends it."""
    connection.sendall(HEADER % (b"200 OK", 10_000))
    while not ENDED.wait(0.1):
        connection.sendall(b" ")


def broken(connection: socket.socket) -> None:
    connection.sendall(HEADER % (b"500 Internal Server Error", 0))


def closed(connection: socket.socket) -> None:
    """It takes the question and says nothing."""


def noise(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.org\r\n")


def forbidden(connection: socket.socket) -> None:
    connection.sendall(HEADER % (b"401 Unauthorized", 0))


def healthy(connection: socket.socket) -> None:
    connection.sendall(HEADER % (b"200 OK", 11) + b'{"data":{}}')


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """The address of a server that answers every request alike."""
    ENDED.clear()

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                answer(connection)
            except OSError:
                pass  # the client has gone

    def listen(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=listen, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        ENDED.set()


BAD: dict[str, tuple[Answer, str]] = {
    "hangs": (hang, "no answer within 1 s|timed out"),
    "drips": (drip, "no answer within 1 s"),
    "broken": (broken, "it answers with HTTP status 500"),
    "closed": (closed, "closed connection without response|reset by peer"),
    "noise": (noise, "does not speak HTTP"),
}


@pytest.fixture
def login(clean_wandb: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    clean_wandb.setenv("WANDB_API_KEY", "x" * 40)
    return clean_wandb


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_server_is_found_out_in_time(login: pytest.MonkeyPatch, kind: str) -> None:
    answer, message = BAD[kind]
    with server(answer) as address:
        login.setenv("WANDB_BASE_URL", address)
        start = time.monotonic()
        with pytest.raises(OSError, match=message):
            check_reachable(1.0)
        assert time.monotonic() - start < 3.0


@pytest.mark.parametrize("answer", [healthy, forbidden])
def test_a_server_that_answers_is_taken(login: pytest.MonkeyPatch, answer: Answer) -> None:
    """A missing login is for the library to say."""
    with server(answer) as address:
        login.setenv("WANDB_BASE_URL", address)
        check_reachable(10.0)


def test_a_run_goes_on_offline_with_one_line(login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library is never asked to speak to such a server: it would try for minutes."""
    with server(hang) as address:
        login.setenv("WANDB_BASE_URL", address)
        table = RunLogger(str(tmp_path), "run")
        logger = SafeWandbLogger(str(tmp_path), "run", init_timeout=2.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for step in range(1, 6):
                for each in (table, logger):
                    each.log_metrics({"a": step / 3}, step)
        said = [str(warning.message) for warning in caught if "W&B" in str(warning.message)]
        assert len(said) == 1 and "\n" not in said[0]
        assert "goes on offline: `wandb sync" in said[0]
        assert logger.experiment.settings.mode == "offline"
        start = time.monotonic()
        logger.experiment.finish()
        assert time.monotonic() - start < 8.0
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 6


def test_limits_of_ten_seconds_in_all() -> None:
    logger = SafeWandbLogger()
    assert logger._init_timeout + logger._finish_timeout <= 10.0


def test_disabled_is_silent(login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    login.setenv("WANDB_MODE", "disabled")
    logger = SafeWandbLogger(str(tmp_path), "run")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log_hyperparams({"lr": 0.1})
        logger.log_metrics({"a": 1.0, "val/accuracy_se": 0.1}, 1)
        logger.log_table("samples", ["a"], [[1]])
        logger.finalize("success")
    assert not list((tmp_path / "run").glob("*"))
