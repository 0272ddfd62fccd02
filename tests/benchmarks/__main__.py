"""Every benchmark of speed and memory, on a quiet machine, in one command.

    PYTHONPATH=tests python -m benchmarks --output build/benchmarks

A case that the folder holds is not measured again, so that the same command goes on where it was
ended. Cases compare contenders in turn, A B A B, and count medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from benchmarks.cases import (
    callbacks,
    engines,
    evaluation,
    growth,
    head,
    rl_step,
    rollout,
    startup,
    update,
)
from benchmarks.machine import measure_machine, name_of
from benchmarks.records import Outcome, Size
from benchmarks.report import Record, read, table, write

#: Every case, in the order in which they run: quick ones first.
CASES: dict[str, Callable[[Size, int], Outcome]] = {
    "startup": startup.measure,
    "rollout": rollout.measure,
    "engines": engines.measure,
    "evaluation": evaluation.measure,
    "update": update.measure,
    "head": head.measure,
    "callbacks": callbacks.measure,
    "growth": growth.measure,
    **{name: partial(rl_step.measure, name) for name in rl_step.SETTINGS},
}
#: Rows of the square matrices and bytes of the copy by which the machine is measured.
MACHINE: dict[Size, tuple[int, int]] = {"smoke": (64, 2**16), "full": (2048, 2**28)}
CPU = torch.device("cpu")


def setup_of(size: Size, rounds: int) -> dict[str, str]:
    """What cases of one table have in common."""
    found = {"machine": name_of(CPU), "threads": str(torch.get_num_threads())}
    found |= {"size": size, "rounds": str(rounds), "python": platform.python_version()}
    for package in ("torch", "transformers", "lightning", "trl", "vllm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def measure(name: str, size: Size, rounds: int) -> Record:
    """One case, after the machine's own rates."""
    torch.manual_seed(0)
    load, machine = os.getloadavg()[0], measure_machine(CPU, *MACHINE[size])
    start = time.perf_counter()
    outcome = CASES[name](size, rounds)
    return Record(outcome, machine, load, time.perf_counter() - start)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the report")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="all")
    parser.add_argument("--rounds", type=int, default=5, help="values of each contender (5)")
    parser.add_argument("--size", choices=MACHINE, default="full", help="smoke takes seconds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--again", action="store_true", help="measure also what the folder holds")
    options = parser.parse_args(arguments)
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}={getattr(options, name)} must be at least 1")
    return options


def main(arguments: list[str]) -> int:
    """Measure what the folder lacks, and write the report after each case."""
    options = parse(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"  # every model is on this machine
    torch.set_num_threads(options.threads)
    try:
        report = read(options.output, setup_of(options.size, options.rounds))
    except ValueError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    for name in options.cases:
        if name in report.records and not options.again:
            continue
        print(f"{name}: measuring", flush=True)
        report = report.with_record(name, measure(name, options.size, options.rounds))
        write(report, options.output)
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
