"""Where a run is kept and where it is logged: the ``run`` group of the command line."""

from dataclasses import dataclass
from typing import Literal

from lightning.pytorch.loggers import Logger

from lit_entropy.tracking.csv_logger import RunLogger, SafeWandbLogger, wandb_available


@dataclass
class RunOptions:
    """Where a run is kept and where it is logged.

    Args:
        folder: folder of all runs.
        name: folder of this run below it; a name that is taken gets a number, nothing is
            overwritten.
        wandb: Weights & Biases beside metrics.csv; auto logs there when an API key is present.
        project: Weights & Biases project.
    """

    folder: str = "runs"
    name: str = "run"
    wandb: Literal["auto", "on", "offline", "off"] = "auto"
    project: str = "lit_entropy"


def run_loggers(run: RunOptions, configured: object) -> list[Logger]:
    """metrics.csv first and always, then W&B where it is wanted, then the trainer's own loggers.

    Args:
        run: the run's options.
        configured: ``trainer.logger`` as configured: a logger, a list, or a flag.
    """
    loggers: list[Logger] = [RunLogger(run.folder, run.name)]
    if run.wandb in ("on", "offline") or (run.wandb == "auto" and wandb_available()):
        offline = run.wandb == "offline"
        loggers.append(SafeWandbLogger(run.folder, run.name, run.project, offline))
    if isinstance(configured, Logger):
        configured = [configured]
    return loggers + (configured if isinstance(configured, list) else [])
