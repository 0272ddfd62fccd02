"""Where a run is kept and where it is logged: the ``run`` group of the command line."""

from dataclasses import dataclass, field
from typing import Literal

from lightning.pytorch.loggers import Logger

from lit_entropy.tracking.csv_logger import RunLogger, SafeWandbLogger, wandb_available

#: Characters that W&B takes in no name of a project.
NOT_IN_PROJECTS = "/\\#?%:"


@dataclass
class RunOptions:
    """Where a run is kept and where it is logged.

    Args:
        folder: folder of all runs.
        name: folder of this run below it. A name from a file is completed by what the command
            changes, as quickstart-KLCov-seed1; a name that is taken gets a number, nothing is
            overwritten.
        wandb: Weights & Biases beside metrics.csv; auto logs there when an API key is present.
        project: Weights & Biases project.
        entity: Weights & Biases user or team; by default that of the login.
        group: Weights & Biases group, for the seeds of one experiment say.
        tags: Weights & Biases tags.
        notes: a text on the run, shown by Weights & Biases.
        changes: what the name says beside that of the files; filled in by the command line, so that
            a run of the saved configuration is named after its own changes.
    """

    folder: str = "runs"
    name: str = "run"
    wandb: Literal["auto", "on", "offline", "off"] = "auto"
    project: str = "lit_entropy"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    changes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the server would refuse, since that would only turn W&B off.

        Raises:
            ValueError: a tag, the group, or the entity is empty or too long, or the project is too
                long or has a character that the server takes none of.
        """
        if len(self.project) > 128 or set(self.project) & set(NOT_IN_PROJECTS):
            raise ValueError(
                f"run.project={self.project!r}: W&B takes at most 128 characters, and none of "
                f"{NOT_IN_PROJECTS} (a team is --run.entity TEAM)"
            )
        labels = [("tags", tag, 64) for tag in self.tags]
        labels += [("group", self.group, 128)] if self.group is not None else []
        labels += [("entity", self.entity, 128)] if self.entity is not None else []
        for name, text, longest in labels:
            if not 1 <= len(text) <= longest:
                raise ValueError(
                    f"run.{name}={text!r}: {len(text)} characters; W&B takes 1 to {longest}"
                )


def run_loggers(run: RunOptions, configured: object) -> list[Logger]:
    """metrics.csv first and always, then W&B where it is wanted, then the trainer's own loggers.

    Args:
        run: the run's options.
        configured: ``trainer.logger`` as configured: a logger, a list, or a flag.
    """
    loggers: list[Logger] = [RunLogger(run.folder, run.name)]
    if run.wandb in ("on", "offline") or (run.wandb == "auto" and wandb_available()):
        offline = run.wandb == "offline"
        loggers.append(
            SafeWandbLogger(
                run.folder,
                run.name,
                run.project,
                offline,
                entity=run.entity,
                group=run.group,
                tags=run.tags,
                notes=run.notes,
            )
        )
    if isinstance(configured, Logger):
        configured = [configured]
    return loggers + (configured if isinstance(configured, list) else [])
