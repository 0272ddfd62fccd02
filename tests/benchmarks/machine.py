"""What a machine can do at best, measured: matrix products and copies, by which others are judged.

Times are of the clock, each the best of a few after a first call; a GPU is waited for.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Machine:
    """One device and its measured peaks.

    Attributes:
        name: of the card, or of the processor.
        threads: of torch, on the CPU.
        flops: operations a second of a square matrix product, by dtype.
        bandwidth: bytes a second of a copy, those read and those written.
    """

    name: str
    threads: int
    flops: dict[str, float]
    bandwidth: float


def measure_machine(device: torch.device, side: int, copied: int) -> Machine:
    """The machine's peaks.

    Args:
        device: what is measured.
        side: rows of the square matrices.
        copied: bytes of the tensor that is copied.
    """
    flops = {}
    dtypes = (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,)
    for dtype in dtypes:
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        flops[str(dtype).removeprefix("torch.")] = 2 * side**3 / seconds(left.matmul, right)
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * copied / seconds(target.copy_, source)
    return Machine(name_of(device), torch.get_num_threads(), flops, bandwidth)


def name_of(device: torch.device) -> str:
    """The card's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def seconds(function: Callable[..., object], *arguments: object, repeats: int = 5) -> float:
    """Least seconds of a call after a first one, a GPU's work included."""
    times = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        function(*arguments)
        wait()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def wait() -> None:
    """Until every GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
