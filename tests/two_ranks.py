"""Runs of the real CLI in two gloo processes: many in one launch, since a start takes long."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from recording_losses import Recording
from runs import CONFIGS, SMALL

from lit_entropy.cli.main import main

#: Stands before the arguments of a run that must be refused.
REFUSED = "refused"
FIELDS = ("tokens_BT", "response_mask_BT", "old_logprobs_BT", "advantages_BT", "rewards_B")


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
        "rollout": {name: rollout[name] for name in FIELDS if name in rollout},
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
    (folder / "runs.json").write_text(json.dumps(runs))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    processes, logs, first = [], [], []
    for rank in ("0", "1"):
        logs.append((folder / f"rank{rank}.log").open("w+"))
        environment = os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank}
        command = [sys.executable, __file__, str(folder)]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=logs[-1], stderr=subprocess.STDOUT)
        )
    end = time.monotonic() + timeout
    while any(process.poll() is None for process in processes):
        first = first or [rank for rank in (0, 1) if processes[rank].poll() not in (None, 0)]
        if first or time.monotonic() > end:
            time.sleep(1)  # the other one prints its error
            for process in processes:
                process.kill()
                process.wait()
        time.sleep(0.1)
    texts = []
    for log in logs:
        log.seek(0)
        texts.append(log.read())
        log.close()
    codes = [process.returncode for process in processes]
    # the rank that failed first knows the reason, the other one lost its peer
    assert codes == [0, 0], f"exit codes {codes}\n{texts[first[0] if first else 0][-5000:]}"
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


if __name__ == "__main__":
    where = Path(sys.argv[1])
    plan = json.loads((where / "runs.json").read_text())
    results = [refusal(item[1:]) if item[0] == REFUSED else run(item) for item in plan]
    torch.save(results, where / f"rank{os.environ['RANK']}.pt")
