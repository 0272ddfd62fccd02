"""Seconds an RL step of the module with all its callbacks, against the plain script's.

Both run the quickstart's settings from the same base, one after the other, several times; the ratio
of the medians counts, since seconds depend on the machine. Validation is off in both; everything
else of a fit counts (logging, checkpoints, progress bar, summary figure).

    python tests/benchmarks/compare_speed.py --steps 40 --repeats 3 --threads 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import plain_grpo

from lit_entropy.cli.main import main as lit_entropy
from lit_entropy.tracking.csv_logger import read_metrics

CONFIG = Path(__file__).parent.parent.parent / "configs" / "quickstart.yaml"


def plain_seconds(steps: int, threads: int) -> float:
    """Seconds an RL step of the plain script, from the first rollout to the last update."""
    sys.argv = ["plain_grpo", "--steps", str(steps), "--threads", str(threads)]
    sys.argv += ["--evaluate_every", str(10 * steps)]
    records = plain_grpo.train(plain_grpo.parse())
    next(records)  # the evaluation of the base
    start = time.perf_counter()
    for _ in range(steps - 1):  # the last record evaluates again
        next(records)
    return (time.perf_counter() - start) / (steps - 1)


def fit_seconds(steps: int, threads: int) -> tuple[float, dict[str, float]]:
    """Seconds of a whole fit, and those in each part of its RL steps."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--trainer.limit_val_batches=0", "--run.wandb=off", f"--run.folder={folder}"]
        arguments = ["fit", "--config", str(CONFIG), f"--trainer.max_epochs={steps}", *options]
        sys.argv = ["lit-entropy"]
        start = time.perf_counter()
        lit_entropy(arguments)
        whole = time.perf_counter() - start
        history = read_metrics(Path(folder) / "quickstart-seed0")
    times = {key: float(history[key].sum()) for key in history if key.startswith("time/")}
    return whole, times


def module_seconds(steps: int, threads: int) -> tuple[float, dict[str, float]]:
    """Seconds an RL step of a fit without what is spent once, and the share of each part."""
    once, _ = fit_seconds(1, threads)
    whole, times = fit_seconds(steps, threads)
    parts = ("rollout", "reward", "old_logprobs", "update", "diagnostics")
    shares = {part: times[f"time/{part}"] / times["time/step"] for part in parts}
    return (whole - once) / (steps - 1), shares


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    plain, module, shares = [], [], {}
    for _ in range(options.repeats):
        plain.append(plain_seconds(options.steps, options.threads))
        seconds, shares = module_seconds(options.steps, options.threads)
        module.append(seconds)
    result = {
        "plain_seconds": plain,
        "module_seconds": module,
        "ratio": statistics.median(module) / statistics.median(plain),
        "rl_steps_per_second": 1 / statistics.median(module),
        "shares": shares,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
