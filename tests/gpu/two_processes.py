"""The case of two ranks: gradients of DDP over halves of a minibatch are those of the whole."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from gpu.measured import Measured
from gpu.policies import Sampled, gradient, objective, policy_on, relative, sampled
from gpu.sizes import Size
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.losses import PPOClip

RANKS = 2


def two_ranks(device: torch.device, size: Size) -> Measured:
    """By NCCL where there are two cards, else by gloo with both ranks on the one device."""
    cards = torch.cuda.device_count() if device.type == "cuda" else 0
    backend = "nccl" if cards >= RANKS else "gloo"
    given = sampled(size)
    policy = policy_on(device, size.base)
    objective(policy, PPOClip(), given.on(device)).backward()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        torch.save(given, Path(folder) / "given.pt")
        arguments = (folder, port, backend, str(device), size)
        processes.spawn(_rank, arguments, nprocs=RANKS)
        found = [torch.load(Path(folder) / f"rank{rank}.pt") for rank in range(RANKS)]
    values: dict[str, float | str] = {
        "backend": backend,
        "gradient_gap": relative(found[0]["gradient"], gradient(policy)),
        "ranks_differ": relative(found[1]["gradient"], found[0]["gradient"]),
        "gathered_gap": float((found[0]["gathered"] - given.batch.old_logprobs_BT).abs().max()),
    }
    return Measured(values, {"gradient_gap": 1e-3, "ranks_differ": 0.0, "gathered_gap": 0.0})


def _rank(rank: int, folder: str, port: int, backend: str, device: str, size: Size) -> None:
    """One process: its half of the rows, the summed gradient, and rows gathered from both."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    place = torch.device(device)
    if backend == "nccl":
        place = torch.device("cuda", rank)
        torch.cuda.set_device(place)
    dist.init_process_group(backend, rank=rank, world_size=RANKS)
    try:
        ranks = Ranks(rank, RANKS, place)
        given: Sampled = torch.load(Path(folder) / "given.pt", weights_only=False)
        rows = torch.arange(len(given.batch))[rank * len(given.batch) // RANKS :]
        rows = rows[: len(given.batch) // RANKS]
        half = Sampled(given.sequences.rows(rows), given.batch.rows(rows)).on(place)
        policy = policy_on(place, size.base)
        wrapped = DistributedDataParallel(policy)
        # DDP divides by the ranks: the module undoes it, as here
        (objective(wrapped, PPOClip(), half) * RANKS).backward()
        gathered: Tensor = ranks.gather(half.batch.old_logprobs_BT).flatten(0, 1)
        result = {"gradient": gradient(policy), "gathered": gathered.cpu()}
        torch.save(result, Path(folder) / f"rank{rank}.pt")
    finally:
        dist.destroy_process_group()
