"""Runs with histories that are known in closed form."""

import numpy as np

from lit_entropy.figures.runs import Run

NAN = float("nan")


def history(
    entropy: np.ndarray, accuracy: np.ndarray, every: int = 1, length: float = 10.0
) -> dict[str, np.ndarray]:
    """Row 0 is the validation of the base; ``accuracy`` is kept at every ``every``-th row."""
    rows = len(entropy) + 1
    step = np.arange(float(rows))
    return {
        "step": step,
        "entropy/token_mean": np.concatenate([[NAN], entropy]),
        "rollout/length": np.concatenate([[NAN], np.full(rows - 1, length)]),
        "rollout/groups": np.concatenate([[NAN], np.full(rows - 1, 4.0)]),
        "val/accuracy": np.where(step % every == 0, accuracy, NAN),
    }


def flat_run(
    label: str,
    seed: int,
    entropy: float,
    accuracy: float,
    x: float | None = None,
    steps: int = 20,
    length: float = 10.0,
) -> Run:
    """Constant entropy; the accuracy rises from 0 to ``accuracy`` on a straight line."""
    numbers = history(
        np.full(steps, entropy), accuracy * np.arange(steps + 1) / steps, every=2, length=length
    )
    return Run(f"{label}-{x}-{seed}", label, seed, numbers, x=x, facts={"group_size": 8.0})


def without(run: Run, key: str) -> Run:
    """The run without one column."""
    kept = {name: value for name, value in run.history.items() if name != key}
    return Run(run.name, run.label, run.seed, kept, run.x, run.facts)
