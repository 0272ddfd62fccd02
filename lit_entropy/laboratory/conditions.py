"""The words that the rules are written in: a condition is trained, a row compares."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lit_entropy.jobs.job import Job
from lit_entropy.shipped import configs_folder


@dataclass(frozen=True)
class Condition:
    """What is trained.

    Attributes:
        name: begins the names of its runs.
        experiments: files of ``configs/experiment``, laid over each other.
        changes: values by dotted key.
        natural: the step is that of Theorem 2.
        sampled: rollouts hold samples.
    """

    name: str
    experiments: tuple[str, ...]
    changes: Mapping[str, str]
    natural: bool = False
    sampled: bool = False


@dataclass(frozen=True)
class Row:
    """What is compared: a prediction with the realised change of entropy.

    Attributes:
        label: the assumption that is given up, in words.
        condition: name of the condition.
        prediction: column of the runs' states.
        held_out: the states are the held-out prompts; in the means over states the prediction is
            still that of the training prompts.
    """

    label: str
    condition: str
    prediction: str
    held_out: bool = False


@dataclass(frozen=True)
class Setting:
    """When a theorem holds, of 95 % t intervals over seeds.

    Attributes:
        least_r2: limit above which that of R² from state to state lies.
        slope_within: largest distance from 1 of that of the slope.
        sign_agreement: limit above which that of the share of states with the same sign lies.
    """

    least_r2: float
    slope_within: float
    sign_agreement: float


@dataclass(frozen=True)
class LaboratoryRun(Job):
    """A condition with one seed."""

    condition: Condition
    seed: int
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"{self.condition.name}-seed{self.seed}"

    @property
    def root(self) -> Path:
        """The folder that holds ``configs``."""
        return configs_folder().parent


def planned_run(condition: Condition, seed: int, steps: int) -> LaboratoryRun:
    """The run of a condition: ``steps`` RL steps with one seed."""
    names = ("base", *(f"experiment/{name}" for name in condition.experiments))
    files = [word for name in names for word in ("--config", f"configs/{name}.yaml")]
    callback = {
        "trainer.callbacks": "lit_entropy.callbacks.TheoremCheck",
        "trainer.callbacks.natural": str(condition.natural).lower(),
        "trainer.callbacks.sampled": str(condition.sampled).lower(),
        "trainer.limit_val_batches": "0",
        "trainer.max_epochs": str(steps),
        "checkpoint.every_n_epochs": "1000",
        "run.wandb": "off",
        "seed_everything": str(seed),
    }
    values = {**condition.changes, **callback}
    words = [word for key, value in values.items() for word in (f"--{key}", value)]
    return LaboratoryRun(condition, seed, (*files, *words))


def digest_of(path: Path) -> str:
    """First 12 digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
