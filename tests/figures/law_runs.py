"""Runs that obey the law with known coefficients."""

import numpy as np

from lit_entropy.figures.runs import Run


def law_run(
    seed: int,
    a: float = 0.5,
    b: float = 1.25,
    label: str = "GRPO",
    x: float | None = None,
    noise: float = 0.0,
    steps: int = 40,
) -> Run:
    """Entropy 0.6 exp(-step / 10) + 0.05 of the policy after each step; validated every second.

    Row k holds the entropy of the policy after step k - 1 and the accuracy of that after step k.
    """
    step = np.arange(steps + 1.0)
    entropy = 0.05 + 0.6 * np.exp(-step / 10)
    error = noise * np.random.default_rng(seed).standard_normal(steps + 1)
    accuracy = np.where(step % 2 == 0, -a * np.exp(entropy) + b + error, np.nan)
    before = np.concatenate([[np.nan], entropy[:-1]])
    history = {"step": step, "entropy/token_mean": before, "val/accuracy": accuracy}
    name = f"{label}-{x}-{seed}"
    return Run(name, label, seed, history, x=x)


def without(run: Run, key: str) -> Run:
    """The run without one column."""
    history = {name: value for name, value in run.history.items() if name != key}
    return Run(run.name, run.label, run.seed, history, x=run.x)
