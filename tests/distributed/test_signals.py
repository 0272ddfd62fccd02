"""SIGTERM to one rank of two ends both."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.utilities.exceptions import SIGTERMException
from processes import start_command
from runs import ALONE
from two_ranks import arguments

from lit_entropy.distributed import signals
from lit_entropy.tracking.metrics_file import read_rows

pytestmark = pytest.mark.timeout(600)
#: Seconds.
LIMIT = 60


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_signal_to_one_rank_ends_both(tmp_path: Path, rank: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    command = arguments(
        tmp_path / "runs", *ALONE, "--model.policy.model=chain-xs", "--trainer.max_epochs=2000",
        "--trainer.strategy=ddp", "--trainer.devices=2",
    )  # fmt: skip
    processes = [
        start_command(tmp_path / f"rank{r}.log", command, shared | {"RANK": r, "LOCAL_RANK": r})
        for r in "01"
    ]
    table = tmp_path / "runs" / "quickstart-seed0" / "metrics.csv"
    try:
        end = time.monotonic() + 200
        while not (table.exists() and len(table.read_text().splitlines()) > 3):
            assert all(process.is_alive() for process in processes) and time.monotonic() < end
            time.sleep(0.05)
        sent = time.monotonic()
        os.kill(processes[rank].pid, signal.SIGTERM)
        for process in processes:
            process.join(max(0.0, sent + LIMIT - time.monotonic()))
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
    logs = [(tmp_path / f"rank{r}.log").read_text()[-2000:] for r in (0, 1)]
    assert codes[rank] == 143 and None not in codes and 0 not in codes, (codes, *logs)
    steps = [int(row["step"]) for row in read_rows(table)]
    assert steps == list(range(1, len(steps) + 1))


@pytest.fixture
def _alone() -> Iterator[None]:
    """A process group of this process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize(
    ("order", "codes"),
    [(["signal"], [143]), (["signal", "agree"], []), (["signal", "agree", "signal"], [])],
)
def test_ranks_that_agree_have_the_time_to_end(
    monkeypatch: pytest.MonkeyPatch, order: list[str], codes: list[int]
) -> None:
    """As loggers need it, for an upload say; a rank that nobody asks leaves."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(signals, "GRACE", 0.2)
    connector, loop = SimpleNamespace(), SimpleNamespace()
    signals.end_together(connector, loop, torch.device("cpu"))  # type: ignore[arg-type]
    loop._broadcast_sigterm_tensor()  # nobody has a signal yet
    for event in order:
        if event == "signal":
            connector._sigterm_notifier_fn(signal.SIGTERM, None)
        else:
            with pytest.raises(SIGTERMException):
                loop._broadcast_sigterm_tensor()
    time.sleep(0.6)
    assert ended == codes


def test_a_signal_after_the_agreement_starts_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launchers send it to every rank, and another one's may come first."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(signals, "GRACE", 0.1)
    monkeypatch.setattr(dist, "all_reduce", lambda flag, op: flag.fill_(1))  # another rank's flag
    connector, loop = SimpleNamespace(), SimpleNamespace()
    signals.end_together(connector, loop, torch.device("cpu"))  # type: ignore[arg-type]
    with pytest.raises(SIGTERMException):
        loop._broadcast_sigterm_tensor()
    connector._sigterm_notifier_fn(signal.SIGTERM, None)
    time.sleep(0.4)
    assert ended == []
