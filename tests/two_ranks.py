"""Runs of the real CLI in two gloo processes: many in one launch, since a start takes long."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import start
from recording_losses import Recording
from runs import CONFIGS, SMALL

from lit_entropy.cli.main import main

#: Stands before the arguments of a run that must be refused.
REFUSED = "refused"
FIELDS = ("tokens_BT", "response_mask_BT", "old_logprobs_BT", "advantages_BT", "rewards_B")
#: Of a rollout with an environment.
WRITTEN = "environment_BT"


def arguments(folder: Path, *more: str, command: str = "fit") -> list[str]:
    """A run at the tests' size below ``folder``."""
    small = [item for item in SMALL if command == "fit" or not item.startswith("--checkpoint")]
    config = ["--config", str(CONFIGS / "quickstart.yaml")]
    return [command, *config, *small, f"--run.folder={folder}", *more]


def run(arguments: list[str]) -> dict[str, Any]:
    """One run in this process; its selections, last rollout and metrics of the last epoch."""
    Recording.selections.clear()
    start = time.monotonic()
    cli = main(arguments)
    record = cli.model.rollout
    rollout = {} if record is None else record.experience.tensors()
    return {
        "selections": [sorted(map(list, tokens)) for tokens in Recording.selections],
        "rollout": {name: rollout[name] for name in (*FIELDS, WRITTEN) if name in rollout},
        "metrics": {k: float(v) for k, v in cli.trainer.callback_metrics.items()},
        "seconds": time.monotonic() - start,
        "sharded": sum(type(p).__name__ == "DTensor" for p in cli.model.parameters()),
        "held": sum(
            (p.to_local() if hasattr(p, "to_local") else p).numel() for p in cli.model.parameters()
        ),
    }


def refusal(arguments: list[str]) -> dict[str, Any]:
    """The error of a run that is refused at setup."""
    start = time.monotonic()
    with pytest.raises(ValueError) as caught:
        main(arguments)
    return {"refusal": str(caught.value), "seconds": time.monotonic() - start}


def launch(folder: Path, runs: list[list[str]], timeout: float = 280) -> list[list[dict[str, Any]]]:
    """The results of the runs, rank by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    logs = [folder / f"rank{rank}.log" for rank in (0, 1)]
    processes = [
        start(log, of_rank, folder, runs, environment=shared | {"RANK": rank, "LOCAL_RANK": rank})
        for rank, log in zip("01", logs, strict=True)
    ]
    first: list[int] = []
    end = time.monotonic() + timeout
    while any(process.is_alive() for process in processes):
        first = first or [rank for rank in (0, 1) if processes[rank].exitcode not in (None, 0)]
        if first or time.monotonic() > end:
            time.sleep(1)  # the other one prints its error
            for process in processes:
                process.kill()
                process.join()
        time.sleep(0.1)
    codes = [process.exitcode for process in processes]
    # the rank that failed first knows the reason, the other one lost its peer
    assert codes == [0, 0], (
        f"exit codes {codes}\n{logs[first[0] if first else 0].read_text()[-5000:]}"
    )
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def of_rank(folder: Path, runs: list[list[str]]) -> None:
    """Every run in this process, which is one of the ranks; the results go into ``folder``."""
    results = [refusal(item[1:]) if item[0] == REFUSED else run(item) for item in runs]
    torch.save(results, folder / f"rank{os.environ['RANK']}.pt")
