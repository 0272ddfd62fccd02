"""What figures know of a training run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

History = Mapping[str, np.ndarray]
#: The task that stands for the paper's code runs, the one that exploration limits, and the one in
#: which every response can be written down.
CODE_TASK, EXPLORATION_TASK, EXACT_TASK = "Countdown", "StrategyDiscovery", "KeyedBandit"
#: The shipped base that makes exploration easier.
EASIER_BASE = "discovery-easy-s"


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        name: Unique name, that of the run's folder.
        label: The curve it belongs to; runs of one label differ in the seed alone.
        seed: Seed of the run.
        history: One float array per metric key, all of one length; ``step`` is the RL step, NaN
            where a step has no such number. Rollout metrics (``rollout/``, ``entropy/``, ``cov/``)
            of row k describe the policy *before* the updates of step k, ``val/`` the policy after
            them; row 0 is the validation of the base.
        x: The number that was swept (coefficient, fraction) or the parameters of the model.
        facts: Other plain facts, the vocabulary size say.
        states: Columns of predicted and realised changes of entropy, state by state, of a run with
            ``TheoremCheck``; empty without.
        settings: Its configuration by dotted keys, without the seed and the run's name; empty
            without one.
    """

    name: str
    label: str
    seed: int
    history: History
    x: float | None = None
    facts: Mapping[str, float | str] = field(default_factory=dict)
    states: History = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


def by_label(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each label, labels in order of appearance, seeds in order."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.label, []).append(run)
    return {label: sorted(group, key=lambda run: run.seed) for label, group in groups.items()}


def one_model(runs: Sequence[Run]) -> list[Run]:
    """The runs of one model a label, so that the ladder stays out of a curve.

    It is the model that most of all runs train, and for a label without it that of most of its own
    runs. A run that does not say its model, an export say, stays.
    """
    common = _common_model(runs)
    kept: set[int] = set()
    for group in by_label(runs).values():
        models = {run.facts.get("model", common) for run in group}
        own = common if common in models else _common_model(group)
        kept |= {id(run) for run in group if run.facts.get("model", own) == own}
    return [run for run in runs if id(run) in kept]


def _common_model(runs: Sequence[Run]) -> object:
    models = [run.facts["model"] for run in runs if "model" in run.facts]
    return max(models, key=models.count, default=None)


def first_task(runs: Sequence[Run]) -> list[Run]:
    """Runs of every model on anything but the other tasks; all, where none is on another."""
    others = (CODE_TASK, EXPLORATION_TASK, EXACT_TASK)
    return [run for run in runs if run.facts.get("task") not in others] or list(runs)


def mathematics(runs: Sequence[Run]) -> list[Run]:
    """Runs of one model on anything but the other tasks."""
    return one_model(first_task(runs))


def exploration(runs: Sequence[Run]) -> list[Run]:
    """Runs of one model on the task that exploration limits, of the easier base if of no other."""
    explored = [run for run in runs if run.facts.get("task") == EXPLORATION_TASK]
    return one_model([run for run in explored if not of_easier_base(run)] or explored)


def easier_exploration(runs: Sequence[Run]) -> list[Run]:
    """Runs of the easier base on the task that exploration limits."""
    explored = [run for run in runs if run.facts.get("task") == EXPLORATION_TASK]
    return [run for run in explored if of_easier_base(run)]


def of_easier_base(run: Run) -> bool:
    """Whether the run trains :data:`EASIER_BASE`."""
    return run.facts.get("model") == EASIER_BASE


def exact(runs: Sequence[Run]) -> list[Run]:
    """Runs of any model on the task in which every response can be written down."""
    return [run for run in runs if run.facts.get("task") == EXACT_TASK]


def code(runs: Sequence[Run]) -> list[Run]:
    """Runs of one model on the second task."""
    return one_model([run for run in runs if run.facts.get("task") == CODE_TASK])
