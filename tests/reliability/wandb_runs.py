"""Whole runs beside servers of W&B that are bad from the start, or from their first rows on."""

from __future__ import annotations

import atexit
import http.server
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attacked_runs import NAME
from file_events import NONE, Fault
from killed_runs import LONGEST, run_watched
from processes import start
from runs import ALONE
from same_runs import COMPARED
from test_wandb_servers import BAD, Answer, server

#: Long enough for a server to break meanwhile.
LONG = [*ALONE, "--trainer.max_epochs=40", "--checkpoint.every_n_epochs=20"]
MOST_SECONDS = 10.0
_BUCKET = {
    "id": "x", "name": "r", "displayName": "r", "config": "{}", "historyLineCount": 0,
    "logLineCount": 0, "eventsLineCount": 0, "historyTail": "[]", "eventsTail": "[]",
    "summaryMetrics": "{}", "tags": [], "wandbConfig": "{}",
    "project": {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}},
}  # fmt: skip
_VIEWER = {"id": "v", "entity": "e", "username": "u", "flags": "{}", "teams": {"edges": []}}


@dataclass
class Beside:
    """What became of a run beside a server.

    Attributes:
        server: what that does.
        seconds: by which the run was longer than without W&B.
        wrong: what was not as without it.
        rows: requests with rows that the server has taken.
    """

    server: str
    seconds: float
    wrong: list[str] = field(default_factory=list)
    rows: int = 0


class Speaking(http.server.BaseHTTPRequestHandler):
    """Speaks as far as the start of a run needs it, then rows end in the server's answer."""

    def do_POST(self) -> None:
        state: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if state.bad:
            self.close_connection = True
            state.answer(self.connection)
            return
        if self.path.endswith("file_stream"):
            state.rows += 1
            state.bad = state.answer is not None
        said = json.dumps({"data": _data(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


def _data(question: bytes) -> dict[str, Any]:
    if b"UpsertBucket" in question:
        return {"upsertBucket": {"bucket": _BUCKET, "inserted": True}}
    return {"viewer": _VIEWER} if b"viewer" in question else {}


@contextmanager
def speaking(answer: Answer | None) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server that takes a run, and answers so from its first rows on."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Speaking) as served:
        state: Any = served
        state.bad, state.answer, state.rows = False, answer, 0
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def refusing() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def whole_run(folder: Path) -> float:
    """The same run without W&B, three times.

    Returns:
        Seconds by the clock, the median.
    """
    return statistics.median(_one(folder / str(index), "off", "") for index in range(3))


def run_to_the_exit(folder: str, arguments: list[str], fault: Fault) -> None:
    """A run and what the interpreter does at its exit, where W&B sends the rest.

    A process of ``multiprocessing`` leaves that out.
    """
    try:
        run_watched(folder, arguments, fault)
    finally:
        atexit._run_exitfuncs()


def _one(folder: Path, wandb: str, address: str) -> float:
    """Seconds of a run; it may not end in an error."""
    folder.mkdir(parents=True)
    environment = {"WANDB_BASE_URL": address, "WANDB_API_KEY": "x" * 40, "WANDB_SILENT": "true"}
    environment |= {"NETRC": str(folder / "netrc"), "WANDB_MODE": "online"}
    began = time.monotonic()
    arguments = [*LONG, f"--run.wandb={wandb}"]
    given = (str(folder), arguments, NONE)
    process = start(folder / "log", run_to_the_exit, *given, environment=environment)
    process.join(LONGEST)
    seconds = time.monotonic() - began
    if process.exitcode != 0:
        raise RuntimeError(f"ended with {process.exitcode}: {(folder / 'log').read_text()[-2000:]}")
    return seconds


def beside(name: str, folder: Path, whole: Path, without: float) -> Beside:
    """Let a run go on beside a server.

    Args:
        name: a key of ``SERVERS``.
        folder: of the run.
        whole: what ``whole_run`` was given.
        without: what that has measured.
    """
    with SERVERS[name]() as (address, count):
        found = Beside(name, 0.0)
        try:
            found.seconds = _one(folder, "on", address) - without
        except RuntimeError as error:
            found.wrong.append(str(error))
            return found
        found.rows = count()
    for file in ("metrics.csv", "checkpoints/last.ckpt"):
        ours, theirs = folder / "runs" / NAME / file, whole / "0" / "runs" / NAME / file
        apart = COMPARED[ours.suffix](ours, theirs)
        found.wrong += [text for text in apart if text != ".configuration.run.wandb"]
    if found.seconds > MOST_SECONDS:
        found.wrong.append(f"{found.seconds:.1f} s longer than without W&B")
    return found


Served = Callable[[], Any]


def _from_the_start(answer: Answer) -> Served:
    @contextmanager
    def served() -> Iterator[tuple[str, Callable[[], int]]]:
        with server(answer) as address:
            yield address, lambda: 0

    return served


def _later(answer: Answer | None) -> Served:
    @contextmanager
    def served() -> Iterator[tuple[str, Callable[[], int]]]:
        with speaking(answer) as state:
            yield f"http://127.0.0.1:{state.server_address[1]}", lambda: state.rows  # type: ignore[attr-defined]

    return served


@contextmanager
def _nobody() -> Iterator[tuple[str, Callable[[], int]]]:
    yield refusing(), lambda: 0


#: What a server does, and how it is had.
SERVERS: dict[str, Served] = {
    "refuses": _nobody,
    **{name: _from_the_start(answer) for name, (answer, _) in BAD.items()},
    **{f"{name}, once it has rows": _later(answer) for name, (answer, _) in BAD.items()},
    "takes all but files": _later(None),
}
