"""What figures know of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

History = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        name: Unique name, that of the run's folder.
        label: The curve it belongs to; runs of one label differ in the seed alone.
        seed: Seed of the run.
        history: One float array a metric key, all of one length; ``step`` is the RL step, NaN where
            a step has no such number. Rollout metrics (``rollout/``, ``entropy/``, ``cov/``) of row
            k describe the policy *before* the updates of step k, ``val/`` the policy after them;
            row 0 is the validation of the base.
        x: The number that was swept (coefficient, fraction) or the parameters of the model.
        facts: Other plain facts, the vocabulary size say.
    """

    name: str
    label: str
    seed: int
    history: History
    x: float | None = None
    facts: Mapping[str, float | str] = field(default_factory=dict)


def by_label(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each label, labels in order of appearance, seeds in order."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.label, []).append(run)
    return {label: sorted(group, key=lambda run: run.seed) for label, group in groups.items()}
