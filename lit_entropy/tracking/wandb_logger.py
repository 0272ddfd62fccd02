"""Weights & Biases that never stops or changes a run."""

import os
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning.fabric.utilities.logger import _convert_json_serializable, _convert_params
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from lit_entropy.tracking.redaction import redact, redact_text
from lit_entropy.tracking.wandb_scores import COLUMNS, split_scores
from lit_entropy.tracking.wandb_session import RUN_ID_FILE, STEP_METRIC, check_reachable, start_run


class _Off(_DummyExperiment):
    """A run that takes every call and does nothing."""

    config = _DummyExperiment()


class SafeWandbLogger(WandbLogger):
    """Sends the run to Weights & Biases; when that fails the run goes on as if it were not there.

    A server that does not answer one question at the start, or answers that it is broken, turns the
    logger to offline mode (``wandb sync`` uploads the folder later); an error while logging turns
    it off. Each gives one warning. With the default limits a server that hangs at any time costs a
    run 10 seconds at most; what it has not taken by then stays in the run's folder. The
    login comes from the environment or netrc alone. Host, command line, git state, console output
    and code stay at home, and the configuration and the labels are sent
    redacted.
    """

    def __init__(
        self,
        save_dir: str = "runs",
        name: str = "run",
        project: str = "lit_entropy",
        offline: bool = False,
        init_timeout: float = 6.0,
        finish_timeout: float = 4.0,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
    ) -> None:
        """Store the settings; nothing is sent before the first use.

        Args:
            save_dir: folder of all runs.
            name: folder of this run within it, and the run's name on the server.
            project: W&B project.
            offline: write to the run folder alone, as with WANDB_MODE=offline; with disabled
                nothing is written.
            init_timeout: seconds to wait for the server at the start, in all; at most half of them
                for its answer to the first question.
            finish_timeout: seconds to wait for the last uploads; the rest stays on disk.
            entity: W&B user or team; None for the login's default.
            group: W&B group, for the seeds of one experiment.
            tags: W&B tags.
            notes: a text on the run.
        """
        for field, value in (("init_timeout", init_timeout), ("finish_timeout", finish_timeout)):
            if not value > 0:
                raise ValueError(f"{field}={value}: give a positive number of seconds")
        self._folder = Path(save_dir) / name
        super().__init__(name=name, save_dir=str(self._folder), project=project)
        self._mode = "offline" if offline else os.environ.get("WANDB_MODE") or "online"
        self._init_timeout = init_timeout
        self._finish_timeout = finish_timeout
        labels = {"name": name, "project": project, "entity": entity, "group": group}
        labels["notes"] = notes
        self._labels = {key: text and redact_text(text) for key, text in labels.items()}
        self._tags = [redact_text(tag) for tag in tags]

    def earlier_file(self) -> Path | None:
        """The file with the W&B id of an earlier run that this logger would continue."""
        file = self._folder / RUN_ID_FILE
        return file if self._experiment is None and file.exists() else None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, or a stand-in that ignores every call once W&B has failed."""
        if self._experiment is None:
            self._experiment = self._start()
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Send metrics with the RL step as their x axis.

        Standard errors and scores by difficulty, which are most of the keys, go into the table
        ``scores/<split>`` of that validation instead of panels of their own.
        """
        panels, rows = split_scores(metrics)
        axis = {} if step is None else {STEP_METRIC: step}
        self._safely(lambda: self.experiment.log({**panels, **_tables(rows), **axis}))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, object] | Namespace | None = None) -> None:
        """Send the configuration without secrets."""
        config = redact(_convert_json_serializable(_convert_params(params)))
        self._safely(lambda: self.experiment.config.update(config, allow_val_change=True))

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[object]] | None = None,
        dataframe: object = None,
        step: int | None = None,
    ) -> None:
        """Send a table, as in ``WandbLogger``."""
        table = (key, columns, data, dataframe, step)
        self._safely(lambda: super(SafeWandbLogger, self).log_table(*table))

    @rank_zero_only
    def log_image(
        self, key: str, images: list[object], step: int | None = None, **kwargs: object
    ) -> None:
        """Send images, as in ``WandbLogger``."""
        self._safely(lambda: super(SafeWandbLogger, self).log_image(key, images, step, **kwargs))

    def _safely(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # whatever it is, training is worth more
            text = f"W&B failed and is off for the rest of the run: {_one_line(error)}"
            warnings.warn(text, stacklevel=3)
            self._experiment = _Off()

    def _start(self) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._mode == "disabled":
            return _Off()
        failed, start = False, time.monotonic()
        if self._mode == "online":
            try:
                check_reachable(self._init_timeout / 2)
                failed = True  # until proven otherwise
                left = self._init_timeout - (time.monotonic() - start)
                return self._open("online", init_timeout=left)
            except Exception as error:
                self._warn_offline(error)
        try:
            return self._open("offline", new_id=failed)
        except Exception as error:
            text = f"W&B cannot start and is off for this run: {_one_line(error)}"
            warnings.warn(text, stacklevel=4)
            return _Off()

    def _open(
        self, mode: Literal["online", "offline"], new_id: bool = False, init_timeout: float = 0.0
    ) -> Any:
        return start_run(
            self._folder,
            mode,
            new_id=new_id,
            init_timeout=init_timeout or self._init_timeout,
            finish_timeout=self._finish_timeout,
            tags=self._tags,
            **self._labels,
        )

    def _warn_offline(self, error: Exception) -> None:
        warnings.warn(
            f"W&B is not available ({_one_line(error)}). The run goes on offline: `wandb sync "
            f"{self._folder}/wandb/offline-run-*` uploads it later.",
            stacklevel=5,
        )


def _tables(rows: Sequence[list[object]]) -> dict[str, object]:
    """``scores/val`` or ``scores/test``: the table of a validation; none without rows."""
    if not rows:
        return {}
    import wandb  # takes longer than all of --help

    data = [[_plain(cell) for cell in row] for row in rows]
    return {f"scores/{str(rows[0][0]).partition('/')[0]}": wandb.Table(columns=COLUMNS, data=data)}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _plain(cell: object) -> object:
    return float(cell) if isinstance(cell, Tensor) else cell
