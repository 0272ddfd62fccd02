"""The local record of a run, which every run has, with or without Weights & Biases."""

import os
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only
from torch import Tensor

from lit_entropy.tracking.abandoned_files import set_files_aside
from lit_entropy.tracking.metrics_file import (
    ABANDONED,
    METRICS_FILE,
    MetricsFile,
    read_metrics,
    read_rows,
)
from lit_entropy.tracking.redaction import redact
from lit_entropy.tracking.redone_rows import RedoneRows
from lit_entropy.tracking.row_digests import changed_rows, is_time
from lit_entropy.tracking.run_folder import claim_run_folder
from lit_entropy.tracking.wandb_logger import SafeWandbLogger
from lit_entropy.tracking.wandb_session import wandb_available

__all__ = [
    "RunLogger",
    "SafeWandbLogger",
    "claim_run_folder",
    "read_metrics",
    "redact",
    "wandb_available",
]


class RunLogger(CSVLogger):
    """Writes ``<save_dir>/<name>/metrics.csv``, one row per RL step.

    Put it first in ``trainer.logger``: the first logger decides ``trainer.log_dir`` and where
    checkpoints go (``<save_dir>/<name>/checkpoints``). The stock ``CSVLogger`` deletes the file
    when a run is resumed; here the rows up to the checkpoint stay, and those after it, which the
    resumed run makes again, move to ``metrics-abandoned.csv``, and the files of its RL steps to
    folders of that kind. The rows are compared with the new ones: one warning names the first RL
    step that differs, since an exact resume repeats them.
    """

    def __init__(self, save_dir: str = "runs", name: str = "run") -> None:
        """Name the folder; nothing is written before the first metric.

        Args:
            save_dir: folder of all runs.
            name: folder of this run within it; see ``claim_run_folder``.
        """
        super().__init__(save_dir=save_dir, name=name, version="")
        self._metrics_file: MetricsFile | None = None
        self._redone = RedoneRows([])

    @property
    def log_dir(self) -> str:
        """The run's folder, without a version subfolder."""
        return os.path.join(self.save_dir, self.name)

    def earlier_file(self) -> Path | None:
        """The ``metrics.csv`` of an earlier run that this logger would continue."""
        file = Path(self.log_dir) / METRICS_FILE
        return file if self._metrics_file is None and file.exists() else None

    @property
    @rank_zero_experiment
    def experiment(self) -> MetricsFile:
        """The open ``MetricsFile``; a dummy on other ranks."""
        if self._metrics_file is None:
            Path(self.log_dir).mkdir(parents=True, exist_ok=True)
            self._metrics_file = MetricsFile(Path(self.log_dir) / METRICS_FILE)
        return self._metrics_file

    def noted_rows(self, step: int) -> dict[str, Any]:
        """What a checkpoint of an RL step keeps of the table, on rank 0."""
        return self.experiment.noted(step)

    def require_rows(self, noted: Mapping[str, Any]) -> None:
        """Refuse to add to a table whose rows are not those that a checkpoint noted.

        Raises:
            ValueError: names the RL step whose row is missing, altered or doubled.
        """
        path = Path(self.log_dir) / METRICS_FILE
        problems = changed_rows(noted, read_rows(path) if path.exists() else [])
        if problems:
            step, problem = next(iter(problems.items()))
            more = f", and {len(problems) - 1} further ones changed" if len(problems) > 1 else ""
            aside = sorted(file.name for file in path.parent.glob(f"{ABANDONED}*.csv"))
            there = (
                f" (an earlier resume has set rows aside in {', '.join(aside)})" if aside else ""
            )
            raise ValueError(
                f"{path}: the row of RL step {step} {problem} since the checkpoint was "
                f"written{more}{there}. Restore the file, or set "
                "checkpoint.accept_edited_metrics=true to go on with it as it is"
            )

    @rank_zero_only
    def resume_after(self, step: int) -> None:
        """Set rows and files after a checkpoint aside; the resumed run makes them again.

        Args:
            step: the last RL step of the checkpoint.
        """
        folder, last_step = Path(self.log_dir), self.experiment.last_step
        # before the rows: after a kill in between these still say what is to be set aside
        files = set_files_aside(folder, step, ended=last_step > step)
        rows, table = self.experiment.cut(step)
        self._redone = RedoneRows(rows)
        if table is not None:
            files = [table, *files]
        if files:
            names = sorted({str(file.relative_to(folder).parts[0]) for file in files})
            rank_zero_info(
                f"What came after RL step {step}, that of the checkpoint, is made again; what was "
                f"there is now in {', '.join(names)} of {folder}"
            )

    def _tell(self, difference: str) -> None:
        if difference:
            warnings.warn(
                f"{difference}. {self.log_dir}/{METRICS_FILE} goes on with the new ones. Compare "
                "config, versions, threads and devices with those of the first part.",
                stacklevel=3,
            )

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Tensor | float], step: int | None = None) -> None:
        """Write metrics to the row of an RL step; they are on disk when this returns.

        Args:
            metrics: numbers or scalar tensors.
            step: RL step (Lightning passes the logged key ``step``).
        """
        if step is None:
            raise ValueError("step is None: log the key `step` with the RL step beside the metrics")
        values = {key: float(value) for key, value in metrics.items()}
        self._tell(self._redone.observe(step, values))
        conflicts = self.experiment.write(step, values)
        repeated = sorted(key for key in conflicts if not is_time(key))
        if repeated:
            key, more = repeated[0], len(repeated) - 1
            kept, refused = conflicts[key]
            warnings.warn(
                f"RL step {step} repeats {key}{f' and {more} more metrics' if more else ''} with "
                f"another value: {kept} is kept in {self.log_dir}/{METRICS_FILE}, {refused} is "
                "not. Log a number of an RL step once.",
                stacklevel=2,
            )

    @rank_zero_only
    def log_others(self, metrics: Mapping[str, Tensor | float], step: int) -> None:
        """Write what is not the run's own, device statistics say: a resume may repeat it otherwise.

        Args:
            metrics: numbers or scalar tensors; the first value of a key in a row is kept.
            step: RL step.
        """
        self.experiment.write(step, {key: float(v) for key, v in metrics.items()}, others=True)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, object] | Namespace | None = None) -> None:
        """Nothing to do: the run's ``config.yaml`` holds the whole configuration."""

    @rank_zero_only
    def save(self) -> None:
        """Nothing to do: ``log_metrics`` has written."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Say whether the last RL step was repeated exactly; ``log_metrics`` has written it."""
        self._tell(self._redone.difference())
