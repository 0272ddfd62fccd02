"""CPU-seconds of ``lit-entropy --help`` and of imports, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from benchmarks.records import Outcome, Size
from benchmarks.rounds import alternate

PYTHON = [sys.executable, "-c"]
COMMANDS: dict[Size, dict[str, list[str]]] = {
    "smoke": {"python alone": [sys.executable, "-S", "-c", "pass"]},
    "full": {
        "python alone": [*PYTHON, "pass"],
        "import torch": [*PYTHON, "import torch"],
        "import lit_entropy": [*PYTHON, "import lit_entropy"],
        "import EntropyModule": [*PYTHON, "from lit_entropy.module import EntropyModule"],
        "lit-entropy --help": [sys.executable, "-m", "lit_entropy", "--help"],
        "lit-entropy fit --help": [sys.executable, "-m", "lit_entropy", "fit", "--help"],
    },
}


def measure(size: Size, rounds: int) -> Outcome:
    """The CPU-seconds of each command."""
    contenders = {name: partial(cpu_seconds, words) for name, words in COMMANDS[size].items()}
    return Outcome(tuple(alternate(contenders, rounds, "CPU-s").values()))


def cpu_seconds(command: list[str]) -> float:
    """Seconds of the processor, user and system, of a command and its threads.

    Raises:
        RuntimeError: the command fails.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}; run it by hand")
    return usage.ru_utime + usage.ru_stime
