"""Where the time of an RL step goes, by kind of operation, before and after a change.

    PYTHONPATH=tests python -m benchmarks.profiled --output build/profile --label before
    PYTHONPATH=tests python -m benchmarks.profiled --output build/profile --label compile \
        --compile

Each label is a bar of the picture and a row of the table, so that other commits and flags are laid
beside each other. The profiler makes small operations dearer: read shares, and take speeds from
``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from benchmarks.fitted import CONFIGS, quiet
from torch.profiler import ProfilerActivity, profile

from lit_entropy.atomic import atomic_write
from lit_entropy.cli.main import main as lit_entropy
from lit_entropy.figures.style import FULL_WIDTH, paper_figure, save, sequential_colours

#: Kinds of operations by the words that the profiler's names hold, $ at their end; the first kind
#: that has one.
KINDS: dict[str, tuple[str, ...]] = {
    "compiled": ("Compiled", "cpp_fused", "triton", "CompiledFunction"),
    "matrix products": ("::mm", "::addmm", "::bmm", "::baddbmm", "::matmul", "::linear"),
    "attention": ("scaled_dot_product", "flash_attention"),
    # not "Optimizer.step", within which Lightning runs forward and backward pass as well
    "optimizer": ("_adam", "_foreach"),
    "copies": (
        "::copy", "::cat", "::index", "::_index", "::gather", "::scatter", "::clone", "::fill",
        "::zero", "::masked", "::embedding", "::stack", "::where", "::contiguous",
    ),
    "views and memory": (
        "::view", "::_unsafe_view", "::reshape", "::transpose", "::expand", "::as_strided",
        "::slice", "::select", "::unsqueeze", "::squeeze", "::t$", "::permute", "::empty",
        "::detach", "::resize", "::set_", "::narrow", "::alias", "::split", "::item",
        "::_local_scalar",
    ),
    "elementwise and sums": ("aten::",),
    "autograd": ("autograd", "Backward", "AccumulateGrad"),
}  # fmt: skip
#: What the profiler does not see: Python, Lightning, transformers, the profiler itself.
REST = "Python"


def kind_of(operation: str) -> str:
    """The kind of an operation, by the profiler's name of it."""
    name = f"{operation}$"
    return next((kind for kind, words in KINDS.items() if any(w in name for w in words)), REST)


def seconds_by_kind(operations: dict[str, float], wall: float) -> dict[str, float]:
    """Seconds of each kind; what is left of ``wall`` is Python's.

    Args:
        operations: seconds by name of what each operation took itself, without those it called.
        wall: seconds of all.
    """
    found = dict.fromkeys([*KINDS, REST], 0.0)
    for operation, seconds in operations.items():
        found[kind_of(operation)] += seconds
    found[REST] = max(0.0, wall - sum(value for kind, value in found.items() if kind != REST))
    return found


class Profiled(L.Callback):
    """Profiles RL steps; the first two load what is loaded on first use, or compile.

    Attributes:
        operations: seconds by operation and RL step.
        wall: seconds of an RL step.
    """

    WARM = 2

    def __init__(self) -> None:
        self.operations: dict[str, float] = {}
        self.wall = 0.0
        self._profile: Any = None
        self._start = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin with the third RL step, end before the last."""
        if trainer.current_epoch == self.WARM:
            self._profile = profile(activities=[ProfilerActivity.CPU])
            self._profile.__enter__()
            self._start = time.perf_counter()
        if trainer.current_epoch == (trainer.max_epochs or 0) - 1:
            steps = trainer.current_epoch - self.WARM
            self.wall = (time.perf_counter() - self._start) / steps
            self._profile.__exit__(None, None, None)
            self.operations = {
                each.key: each.self_cpu_time_total / 1e6 / steps
                for each in self._profile.key_averages()
            }


def measure(arguments: list[str], steps: int) -> dict[str, float]:
    """Seconds of an RL step by kind, and ``RL step`` of the clock.

    Args:
        arguments: of ``lit-entropy fit``.
        steps: RL steps that are profiled.
    """
    epochs = steps + Profiled.WARM + 1
    with quiet():
        cli = lit_entropy(
            ["fit", *arguments, "--trainer.callbacks+=benchmarks.profiled.Profiled",
             f"--trainer.max_epochs={epochs}", "--trainer.limit_val_batches=0", "--run.wandb=off",
             "--trainer.accelerator=cpu"]
        )  # fmt: skip
    clock = next(each for each in cli.trainer.callbacks if type(each).__name__ == "Profiled")
    return seconds_by_kind(clock.operations, clock.wall)


def table(bars: dict[str, dict[str, float]]) -> str:
    """Seconds of an RL step and the share of each kind, a row a label."""
    lines = ["| | s an RL step | " + " | ".join([*KINDS, REST]) + " |"]
    lines.append("|---|---|" + "---|" * (len(KINDS) + 1))
    for label, found in bars.items():
        whole = sum(found.values())
        shares = " | ".join(f"{100 * found[kind] / whole:.0f} %" for kind in [*KINDS, REST])
        lines.append(f"| {label} | {whole:.3f} | {shares} |")
    return "\n".join(lines) + "\n"


def picture(bars: dict[str, dict[str, float]], stem: Path) -> None:
    """A bar for each label, in seconds of an RL step, a colour for each kind."""
    colours = dict(zip([*KINDS, REST], [*sequential_colours(len(KINDS)), "#BBBBBB"], strict=True))
    with paper_figure(FULL_WIDTH, 0.32 * len(bars) + 1.2) as figure:
        axes = figure.subplots()
        for row, found in enumerate(bars.values()):
            left = 0.0
            for kind, seconds in found.items():
                name = kind if row == 0 else None
                axes.barh(row, seconds, left=left, color=colours[kind], height=0.6, label=name)
                left += seconds
        axes.set_yticks(range(len(bars)), list(bars))
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlabel("seconds of an RL step, under the profiler")
        figure.legend(loc="outside lower center", ncols=5)
        save(figure, stem)


def write(folder: Path, label: str, found: dict[str, float]) -> dict[str, dict[str, float]]:
    """Add a label to ``profile.json`` of a folder, and draw all of them.

    Returns:
        Seconds by kind of every label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.json"
    bars = json.loads(path.read_text()) if path.exists() else {}
    bars[label] = found
    for name, text in {"json": json.dumps(bars, indent=2) + "\n", "md": table(bars)}.items():
        with atomic_write(folder / f"profile.{name}") as file:
            file.write(text.encode())
    picture(bars, folder / "profile")
    return bars


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.profiled", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the picture")
    parser.add_argument("--label", required=True, help="of the bar, 'before' say")
    parser.add_argument("--model", default="chain-s", help="base of the quickstart (chain-s)")
    parser.add_argument("--compile", action="store_true", help="with model.policy.compile")
    parser.add_argument("--steps", type=int, default=5, help="RL steps that are profiled (5)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("fit", nargs="*", help="further arguments of lit-entropy fit, after --")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps={options.steps} must be at least 1")
    return options


def words_of(options: argparse.Namespace) -> list[str]:
    """What ``lit-entropy fit`` is given."""
    words = ["--config", str(CONFIGS / "quickstart.yaml"), f"--model.policy.model={options.model}"]
    words += ["--model.policy.compile=inductor"] * options.compile
    runs, name = options.output / "runs", f"{options.label}-{time.time_ns()}"
    return [*words, f"--run.folder={runs}", f"--run.name={name}", *options.fit]


def main(arguments: list[str]) -> int:
    """Profile, and add the bar."""
    options = parse(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"  # every model is on this machine
    torch.set_num_threads(options.threads)
    found = measure(words_of(options), options.steps)
    print(table(write(options.output, options.label, found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
