"""Everything that a GPU changes, checked and timed on one in minutes, without a network.

    recipes/gpu_check.sh                                    # one card, the full size
    PYTHONPATH=tests python -m gpu.check --device cpu --size tiny --output build/gpu-check

Models are shipped bases and published shapes with random weights. The results go to
``OUTPUT/gpu_check.json`` and, as a table, ``OUTPUT/gpu_check.md``; a case that fails its limits,
or raises, makes the exit code 1 after the others have run.
"""

from __future__ import annotations

import argparse
import configparser
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from benchmarks.machine import Machine, measure_machine
from gpu import fits, modes, parity, speed, two_processes
from gpu.measured import Measured
from gpu.sizes import SIZES, Size
from packaging.requirements import Requirement

Case = Callable[[torch.device, Size], Measured]
#: Where the versions are named that this project needs.
SETUP = Path(__file__).parents[2] / "setup.cfg"


def cases(machine: Machine) -> dict[str, Case]:
    """Every case by name, in the order in which they run."""
    return {
        "logprobs": parity.logprobs,
        "draws": parity.draws,
        "graphs": parity.graphs,
        "selections": parity.selections,
        "training_step": parity.training_step,
        "bf16_mixed": modes.bf16_mixed,
        "attention": modes.attention,
        "packing": modes.packing,
        "decode": speed.decode,
        "update": partial(speed.update, machine=machine),
        "head": speed.head,
        "two_ranks": two_processes.two_ranks,
        "compiled": modes.compiled,
        "fit": fits.fit,
    }


#: Names of the cases.
NAMES = tuple(cases(Machine("", 0, {}, 0.0)))


@dataclass(frozen=True)
class Outcome:
    """What a case came to.

    Attributes:
        values: its numbers and words by name.
        failures: limits that it exceeds, or its error; empty where it passed.
        seconds: of the clock.
    """

    values: dict[str, float | str]
    failures: list[str]
    seconds: float


@dataclass(frozen=True)
class Report:
    """The outcomes of all cases on one machine, and the versions that were run."""

    machine: Machine
    versions: dict[str, str]
    cases: dict[str, Outcome]

    @property
    def failed(self) -> bool:
        """Whether any case failed."""
        return any(outcome.failures for outcome in self.cases.values())


def run(device: torch.device, size: Size, names: Sequence[str] = NAMES) -> Report:
    """Run the named cases, one after the other.

    Args:
        device: what is checked against the CPU.
        size: of the cases.
        names: the cases that run.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what is timed waits for the current one
        torch.backends.cuda.enable_cudnn_sdp(False)  # as a run does
    machine = measure_machine(device, size.side, size.copied)
    outcomes: dict[str, Outcome] = {}
    for name, case in cases(machine).items():
        if name in names:
            outcomes[name] = outcome_of(case, device, size)
            speed.free(device)
            print(f"{name}: {'FAILED' if outcomes[name].failures else 'ok'}", flush=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    said = {name: noted(name, version) for name, version in versions.items()}
    return Report(machine, said, outcomes)


def noted(package: str, version: str) -> str:
    """The version, and beside one that setup.cfg excludes what is asked for there."""
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    lines = setup["options"]["install_requires"].split()
    wanted = next(need for need in map(Requirement, lines) if need.name == package).specifier
    return version if wanted.contains(version, True) else f"{version}, not {wanted} of setup.cfg"


def outcome_of(case: Case, device: torch.device, size: Size) -> Outcome:
    """One case; its error is an outcome too, since the other cases still say something."""
    start = time.perf_counter()
    try:
        measured = case(device, size)
    except Exception:
        measured, failures = Measured(), [traceback.format_exc(limit=-4)]
    else:
        failures = measured.failures
    return Outcome(measured.values, failures, time.perf_counter() - start)


def table(report: Report) -> str:
    """The report in Markdown."""
    machine = report.machine
    rates = [f"{value / 1e12:.3g} Tflop/s in {name}" for name, value in machine.flops.items()]
    rates.append(f"{machine.bandwidth / 1e9:.3g} GB/s")
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    lines = [f"{machine.name}: {', '.join(rates)} ({versions})", ""]
    lines += ["| case | outcome | measured | seconds |", "|---|---|---|---|"]
    for name, outcome in report.cases.items():
        values = ", ".join(f"{key} {_short(value)}" for key, value in outcome.values.items())
        said = "FAILED" if outcome.failures else "ok"
        lines.append(f"| {name} | {said} | {values} | {outcome.seconds:.1f} |")
    for name, outcome in report.cases.items():
        lines += [f"\n{name}: {failure}" for failure in outcome.failures]
    return "\n".join(lines) + "\n"


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the script")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny takes seconds on a CPU")
    parser.add_argument("--cases", nargs="+", choices=NAMES, default=NAMES, help="by default all")
    parser.add_argument("--output", default="build/gpu-check", help="folder of the report")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the cases and write the report; 0 where every case passed, 1 where not, 2 without GPU."""
    options = parse(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            f"--device={options.device}: torch {torch.__version__} finds no GPU here. On a machine "
            "with one install a CUDA build of torch; --device cpu --size tiny tries the script",
            file=sys.stderr,
        )
        return 2
    report = run(device, SIZES[options.size], options.cases)
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu_check.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    (folder / "gpu_check.md").write_text(table(report))
    print(table(report))
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
