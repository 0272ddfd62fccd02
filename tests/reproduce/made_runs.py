"""Whole runs of known numbers: every key that a figure reads, in memory and as run folders."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lit_entropy.figures.cells import Cell
from lit_entropy.jobs.runner import DONE
from lit_entropy.reproduce.jobs import PlannedRun
from lit_entropy.tracking.state_table import write_states

STEPS = 40


def history(seed: int, floor: float = 0.05, answers: float = 0.0) -> dict[str, np.ndarray]:
    """Entropy floor + 0.6 exp(-k / 10) after k RL steps, accuracy 1.25 - exp(H) / 2 + seed / 100.

    Row k of a rollout metric holds the policy after k - 1 steps; dynamics at every fifth step.

    Args:
        seed: shifts the accuracy, so that seeds have an interval.
        floor: where the entropy goes to, nats.
        answers: added to the last accuracy of every difficulty.
    """
    k = np.arange(STEPS + 1.0)
    entropy = floor + 0.6 * np.exp(-k / 10)
    decay = np.exp(-k / 10)
    delta = np.where(k % 5 == 1, -0.01 * decay * (1 + 0.1 * np.sin(k)), np.nan)
    accuracy = 1.25 + seed / 100 - 0.5 * np.exp(entropy)
    rollout = {
        "entropy/token_mean": np.concatenate([[0.0], entropy[:-1]]),
        "entropy/answer": 0.5 * np.concatenate([[0.0], entropy[:-1]]),
        "rollout/length": 10 + floor * k + seed / 10,
        "rollout/groups": np.full(STEPS + 1, 32.0),
        "cov/mean": 0.05 * decay + seed / 1000,
        "policy/kl_selected": 0.01 * decay,
        "dynamics/bandit_covariance": 0.04 * decay + 0.001,
        "strategies/found": np.minimum(1.0, k / STEPS * (0.5 + floor)),
        "strategies/effective": 1 + 4 * decay,
    }
    for share, times in {"2e-4": 400, "2e-3": 100, "2e-2": 30, "0.2": 10, "0.5": 2}.items():
        rollout[f"cov/top_{share}"] = times * rollout["cov/mean"]
    for name, times in {"low": 0.5, "middle": 1.0, "high": 2.0}.items():
        rollout[f"dynamics/bandit_covariance/{name}"] = times * (0.04 * decay + 0.001)
    for states in ("fixed", "own", "on_policy"):
        rollout[f"dynamics/{states}/delta"] = delta
    for states in ("fixed", "own"):
        rollout[f"dynamics/{states}/lemma1"] = 1.05 * delta
    for number in (1, 2):
        rollout[f"dynamics/own/theorem{number}_state"] = 10 * delta + 1e-4 * np.cos(k)
    columns = {"step": k, "val/accuracy": np.where(k % 2 == 0, accuracy, np.nan)}
    for score, ahead in {"accuracy": 0.0, "avg@8": -0.05, "pass@4": 0.1}.items():
        for length in range(1, 13):
            value = accuracy - 0.02 * length + ahead + answers
            columns[f"val/{score}/difficulty_{length}"] = np.where(k == STEPS, value, np.nan)
    for key, value in rollout.items():
        columns[key] = np.where(k > 0, value, np.nan)
    return columns


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> Path:
    """A CSV file with empty cells where a column has no number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if np.isnan(value) else f"{value:.17g}" for value in row])
    return path


def write_metrics(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    """``metrics.csv`` of a run, whose steps are whole numbers."""
    text = write_table(folder / "metrics.csv", columns)
    assert text.read_text().startswith("step,")


def config(
    loss: str = "PPOClip",
    advantage: str = "GRPO",
    regularizers: list[dict[str, Any]] | None = None,
    seed: int = 0,
    model: str = "chain-s",
    task: str = "ChainArithmetic",
    **bounds: float,
) -> dict[str, Any]:
    """What ``config.yaml`` of a run says, as far as figures read it."""
    bounds = bounds or ({"clip_low": 0.2, "clip_high": 0.2} if loss == "PPOClip" else {})
    return {
        "seed_everything": seed,
        "trainer": {"max_epochs": STEPS},
        "model": {
            "policy": {"class_path": "lit_entropy.policy.Policy", "init_args": {"model": model}},
            "loss": {"class_path": f"lit_entropy.losses.{loss}", "init_args": bounds},
            "advantage": {"class_path": f"lit_entropy.advantages.{advantage}", "init_args": {}},
            "regularizers": regularizers or [],
        },
        "data": {"task": {"class_path": f"lit_entropy.tasks.{task}"}, "group_size": 8},
    }


def write_run(
    folder: Path, columns: Mapping[str, np.ndarray], values: Mapping[str, Any] | None = None
) -> Path:
    """A run folder with its metrics and, if given, its configuration."""
    write_metrics(folder, columns)
    if values is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(dict(values)))
    return folder


#: Level of entropy, and what the last accuracy gains, by label.
LEVELS = {"KL-Cov": (0.4, 0.03), "Clip-Cov": (0.3, 0.02), "clip-higher": (0.06, 0.0)}
LOSSES = {"KL-Cov": "KLCov", "Clip-Cov": "ClipCov"}


def task_of(cell: Cell) -> str:
    """The class of the task that a cell trains on."""
    own = {"discovery": "StrategyDiscovery", "table": "KeyedBandit"}
    if cell.suite in own:
        return own[cell.suite]
    return "Countdown" if "countdown" in cell.name else "ChainArithmetic"


def config_of(cell: Cell, seed: int) -> dict[str, Any]:
    """The configuration of a cell's run, its knob and model included."""
    key = {"KL-Cov": "kl_coef", "Clip-Cov": "fraction"}.get(cell.label)
    knob = {}
    if key is not None:
        default = {"kl_coef": "1", "fraction": "7e-3"}[key]
        knob = {key: float(cell.overrides.get(f"model.loss.init_args.{key}", default))}
    return config(
        loss=LOSSES.get(cell.label, "PPOClip"),
        regularizers=json.loads(cell.overrides.get("model.regularizers", "[]")),
        seed=seed,
        model=cell.overrides.get("model.policy.model", "chain-s"),
        task=task_of(cell),
        **knob,
    )


def make(run: PlannedRun, runs: Path) -> Path:
    """The folder of a planned run as training leaves it."""
    floor, answers = LEVELS.get(run.cell.label, (0.05, 0.0))
    columns = history(run.seed, floor, answers + run.seed / 1000)
    if run.cell.name == "shuffled_advantages":
        columns["cov/mean"] = np.where(columns["step"] > 0, 1e-4 * (-1) ** run.seed, np.nan)
    if run.cell.name == "kl_cov_single_update":
        columns["policy/kl_selected"] = 0 * columns["policy/kl_selected"]
    if run.cell.suite == "table":
        columns |= exact_history(columns)
    folder = write_run(runs / run.name, columns, config_of(run.cell, run.seed))
    if run.cell.suite == "table":
        write_states(folder, states(run.seed, 0.1 if run.cell.name == "table_adam" else 0.0))
    return folder


def exact_history(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ``TheoremCheck`` logs for the law: R = 1.25 - exp(H) / 2, a positive covariance."""
    entropy = columns["entropy/token_mean"]
    return {
        "theorems/entropy": entropy,
        "theorems/reward": 1.25 - 0.5 * np.exp(entropy),
        "theorems/covariance": columns["cov/mean"],
    }


def states(seed: int, noise: float = 0.0) -> list[list[float]]:
    """Ten RL steps of four training and four held-out prompts; every prediction is the change, but
    for ``noise`` of Theorem 1's."""
    random = np.random.default_rng(seed)
    rows = []
    for step in range(1, 11):
        for state in range(8):
            delta, other = 0.01 * (state % 4 - 1.5) * random.uniform(0.5, 1.0), random.normal()
            told = delta + 0.1 * noise * other
            rows.append([step, float(state >= 4), state, delta, delta, told, delta, delta])
    return rows


def finish(run: PlannedRun, runs: Path) -> None:
    """:func:`make`, and the mark of a finished run."""
    record = {"settings": list(run.settings), "digest": run.digest}
    (make(run, runs) / DONE).write_text(json.dumps(record))
