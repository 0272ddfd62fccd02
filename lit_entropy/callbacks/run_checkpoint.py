"""Checkpoints at the boundaries of RL steps, the only places from which a resume is exact."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from lit_entropy.atomic import copy_path, keep_path
from lit_entropy.callbacks.base import trained_run
from lit_entropy.callbacks.checkpoint_checks import (
    check_ended,
    check_filename,
    check_own_folder,
    check_whole_steps,
    refuse_together,
    unknown_metric,
)
from lit_entropy.callbacks.endings import STOPPED, may_stop_early, most_rl_steps, stopped_early
from lit_entropy.checkpoints.folders import is_distributed, load_rest
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.errors import CheckpointError
from lit_entropy.tracking.csv_logger import RunLogger
from lit_entropy.tracking.run_folder import check_no_other_checkpoints, check_no_other_run
from lit_entropy.types import State

#: Key of a checkpoint: the rows of ``metrics.csv`` before it.
ROWS = "metrics_rows"


class RunCheckpoint(ModelCheckpoint):
    """ModelCheckpoint that saves after whole RL steps only, and after the last one always."""

    #: Where it stands in a configuration; other callbacks stand in ``trainer.callbacks``.
    config_key = "checkpoint"

    def __init__(
        self,
        dirpath: str | Path | None = None,
        filename: str = "rl_step_{step:05d}",
        every_n_epochs: int = 10,
        save_top_k: int = 1,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        save_weights_only: bool = False,
        accept_edited_metrics: bool = False,
    ) -> None:
        """Set where and when; ``last.ckpt`` is written beside the numbered ones.

        Args:
            dirpath: folder of the checkpoints, within the run's own; by default ``checkpoints``
                there. Any other is refused, and one that holds the checkpoints of another run.
            filename: name of a checkpoint; ``{step}`` is the RL step.
            every_n_epochs: RL steps between checkpoints.
            save_top_k: numbered checkpoints to keep; -1 keeps all.
            monitor: metric that decides which numbered ones are kept, as far as it was measured in
                the RL step; by default the newest. ``last.ckpt`` is always the newest.
            mode: whether the smallest or the largest values of the metric are kept.
            save_weights_only: not possible; ``lit-entropy export`` writes the weights alone.
            accept_edited_metrics: resume also where rows of ``metrics.csv`` were changed by others
                since the checkpoint was written, and take them as they are.

        Raises:
            ValueError: a cadence below 1, a name with a folder, a metric without a mode, or
                checkpoints that no run can continue from.
        """
        if save_weights_only:
            raise ValueError(
                "checkpoint.save_weights_only=true leaves nothing to resume from: leave it out; "
                "lit-entropy export writes the weights alone"
            )
        if every_n_epochs < 1:
            raise ValueError(
                f"checkpoint.every_n_epochs={every_n_epochs} must be at least 1; the last RL step "
                "is saved in any case"
            )
        if PurePath(filename).name != filename or not filename or not filename.isprintable():
            raise ValueError(
                f"checkpoint.filename={filename!r} must be a name without folders and without "
                "characters that cannot be shown: the checkpoints of a run lie in its own folder"
            )
        check_filename(filename)
        if monitor is not None and mode is None:
            raise ValueError(
                f"checkpoint.monitor={monitor} needs checkpoint.mode: max keeps the largest "
                "values, min the smallest"
            )
        super().__init__(
            dirpath=dirpath,
            filename=filename,
            every_n_epochs=every_n_epochs,
            save_top_k=save_top_k,
            monitor=monitor,
            mode=mode or "min",
            save_last=True,
            save_on_train_epoch_end=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,  # last.ckpt is always the newest
        )
        self._logged_before: dict[str, Tensor] = {}
        self._judged: Tensor | None = None  # the monitored value that the last choice was made by
        self._fits = False  # in a fit, not in an evaluation
        self._fitted = False
        self._began_at: int | None = None  # updates made before this fit; None until it trains
        self._warned = False
        self._accepts_edited = accept_edited_metrics
        #: Whether the checkpoint that is continued was named: that is kept where others replace it.
        self.keeps_resumed = True

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse settings that end or cut an RL step in its middle.

        Raises:
            ValueError: names the setting and the remedy.
        """
        super().setup(trainer, pl_module, stage)
        self._fits = stage == "fit"
        folder, named = trainer.log_dir, str(self.dirpath)  # the folder is a broadcast
        if stage == "fit" and folder is not None and isinstance(trainer.logger, RunLogger):
            check_own_folder(named, folder)
        # the default is relative to the working folder, which may be another one on a resume
        self.dirpath = os.path.realpath(named)
        if stage == "fit":
            run = trained_run(trainer)
            validates = trainer.limit_val_batches != 0
            if self.monitor is not None and self.monitor.startswith("val/") and not validates:
                raise ValueError(
                    f"checkpoint.monitor={self.monitor} needs validations: raise "
                    "trainer.limit_val_batches, or leave it out"
                )
            updates_per_step = run.datamodule.plan.updates_per_step
            check_whole_steps(
                updates_per_step,
                fast_dev_run=bool(run.fast_dev_run),
                val_check_interval=trainer.val_check_interval,
                max_steps=trainer.max_steps,
                limit_train_batches=trainer.limit_train_batches,
                callbacks=run.callbacks,
            )
            loop = trainer.fit_loop  # a number of updates is counted as RL steps
            loop.max_epochs = most_rl_steps(loop.max_epochs, trainer.max_steps, updates_per_step)
            loop.epoch_loop.max_steps = -1

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse the folders of another run; which checkpoint is continued is known from here on.

        Raises:
            ValueError: names the folder and the remedy.
        """
        if not trainer.strategy.restore_checkpoint_after_setup:
            folder = trainer.log_dir  # a broadcast: every rank must ask
            self._check_folders(trainer.strategy, folder, trainer.ckpt_path, trainer.loggers)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The same under strategies that load a checkpoint later (FSDP2).

        From here on nothing refuses the resume: rows after its checkpoint leave ``metrics.csv``.
        """
        super().on_train_start(trainer, pl_module)
        if trainer.strategy.restore_checkpoint_after_setup:
            folder = trainer.log_dir  # a broadcast: every rank must ask
            self._check_folders(trainer.strategy, folder, trainer.ckpt_path, trainer.loggers)
        self._began_at = trainer.global_step
        if trainer.ckpt_path is not None and trainer.is_global_zero and self.keeps_resumed:
            self._keep(Path(os.path.realpath(trainer.ckpt_path)))
        if trainer.ckpt_path is not None and isinstance(trainer.logger, RunLogger):
            updates = trained_run(trainer).datamodule.plan.updates_per_step
            trainer.logger.resume_after(trainer.global_step // updates)

    def _check_folders(
        self,
        strategy: Strategy,
        folder: str | None,
        checkpoint: str | Path | None,
        loggers: Iterable[object],
    ) -> None:
        """Once: a second fit of the same trainer goes on in its folder."""
        first, self._fitted = not self._fitted, True
        resumed = None if checkpoint is None else Path(checkpoint)

        def check() -> None:
            if resumed is None:
                check_no_other_run(loggers)
            check_no_other_checkpoints(Path(str(self.dirpath)), resumed, folder)

        if first:
            # other ranks know neither the run's name nor that rank 0 has begun to write
            refuse_together(strategy, check)

    def _keep(self, resumed: Path) -> None:
        """Keep a checkpoint as ``last-resumed.ckpt`` whose name a later one takes."""
        recurs = (f"{self.CHECKPOINT_NAME_LAST}.ckpt", f"{self.filename}.ckpt")
        if resumed.parent == Path(str(self.dirpath)) and resumed.name in recurs:
            keep_path(resumed, resumed.with_name(f"{resumed.stem}-resumed.ckpt"))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note what earlier RL steps have logged."""
        self._logged_before = dict(trainer.logged_metrics)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note what the validation has logged, which is in its own row."""
        super().on_validation_end(trainer, pl_module)
        self._logged_before = dict(trainer.logged_metrics)
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self.check_validation(trainer.callback_metrics)

    def check_validation(self, known: Iterable[str]) -> None:
        """Refuse a metric of validations that the first one has not logged."""
        names = [key for key in known if key.startswith("val/")]
        monitor = self.monitor or ""
        if monitor.startswith("val/") and monitor not in names:
            raise ValueError(unknown_metric(monitor, names))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the RL step, once its row of ``metrics.csv`` is complete.

        Lightning hands what callbacks gave to ``self.log`` to the loggers after this hook. A run
        that is killed in between would continue behind a step whose numbers nobody has.
        """
        metrics = trainer.logged_metrics  # of the whole run; the same on every rank
        fresh = {key: x for key, x in metrics.items() if x is not self._logged_before.get(key)}
        if trainer.logger is not None and fresh:  # the first one, which keeps metrics.csv
            row = {key: float(value) for key, value in fresh.items()}
            trainer.logger.log_metrics(row, step=trainer.global_step - 1)  # the last update
        known = trainer.callback_metrics
        value = None if self.monitor is None else known.get(self.monitor)
        if self.monitor is None or (value is not None and value is not self._judged):
            super().on_train_epoch_end(trainer, pl_module)
        due = (trainer.current_epoch + 1) % int(self.every_n_epochs or 1) == 0
        if due:
            if self.monitor is not None and value is None and not self._warned:
                self._warned = True
                text = unknown_metric(self.monitor, known)
                rank_zero_warn(f"{text}; until it is logged, last.ckpt alone is written")
            self._judged = value
            if self._last_global_step_saved != trainer.global_step:  # not among the best
                self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the last RL step when the cadence left it out.

        Raises:
            PartError: a part has ended the fit in the way of Lightning's loops.
        """
        check_ended(
            trainer.current_epoch,
            trainer.max_epochs,
            trainer.global_step,
            trainer.max_steps,
            trainer.should_stop,
        )
        super().on_train_end(trainer, pl_module)
        if self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write ``last.ckpt`` of a run that was over, and killed before that was written.

        A fit that continues from its numbered checkpoint has no RL step to make and saves none.
        """
        if self._began_at is not None or trainer.ckpt_path is None:
            return
        resumed, last = Path(os.path.realpath(trainer.ckpt_path)), Path(str(self.dirpath))
        last /= f"{self.CHECKPOINT_NAME_LAST}{self.FILE_EXTENSION}"
        if trainer.is_global_zero and resumed.parent == last.parent and _is_behind(last, resumed):
            copy_path(resumed, last)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Say how a run that ends early is continued, by Ctrl-C, a signal or an error."""
        super().on_exception(trainer, pl_module, exception)
        if self._began_at is not None and trainer.global_step > 0:
            updates_per_step = trained_run(trainer).datamodule.plan.updates_per_step
            rank_zero_info(self.way_on(trainer.global_step, updates_per_step, trainer.ckpt_path))

    def way_on(self, updates: int, updates_per_step: int, resumed: str | Path | None) -> str:
        """How a run that was interrupted is continued, and what that repeats.

        Args:
            updates: made so far.
            updates_per_step: of one RL step.
            resumed: the checkpoint that this fit has continued, if any.
        """
        newest = Path(str(self.dirpath)) / "last.ckpt"
        path = newest if self._last_global_step_saved else resumed
        if path is None:
            return (
                f"The run ended before its first checkpoint, {self.every_n_epochs} RL steps from "
                "the start (checkpoint.every_n_epochs): it can only be started again"
            )
        saved = (self._last_global_step_saved or self._began_at or 0) // updates_per_step
        begun = -(-updates // updates_per_step)
        text = f"Continue with the same command and --ckpt_path {shlex.quote(str(path))}"
        if begun <= saved:
            return f"{text}: it goes on after RL step {saved}"
        steps = f"step {begun} is" if begun == saved + 1 else f"steps {saved + 1} to {begun} are"
        return f"{text}: RL {steps} made again"

    def load_state_dict(self, state_dict: State) -> None:
        """Take over which checkpoints were the best ones, for a fit: others write none."""
        if self._fits:
            super().load_state_dict(state_dict)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State
    ) -> None:
        """Note the rows of ``metrics.csv`` that the checkpoint continues, and an early stop."""
        rl_step = trainer.global_step // trained_run(trainer).datamodule.plan.updates_per_step
        stopped = stopped_early(trained_run(trainer).callbacks, rl_step)
        checkpoint[STOPPED] = trainer.should_stop and stopped
        if trainer.is_global_zero and isinstance(trainer.logger, RunLogger):
            checkpoint[ROWS] = trainer.logger.noted_rows(rl_step)

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State
    ) -> None:
        """Refuse to continue where the rows so far are not those that the run has written.

        Where an early stop has ended the run, what continues it is over as well.

        Raises:
            ValueError: names the RL step whose row is missing, altered or doubled.
        """
        callbacks = trained_run(trainer).callbacks
        stops = checkpoint.get(STOPPED) and may_stop_early(callbacks)
        if trainer.state.fn == TrainerFn.FITTING and stops:
            trainer.should_stop = True  # Lightning forgets that it was asked for
            rank_zero_info(
                f"EarlyStopping has ended this run with RL step {checkpoint['rl_steps']}: raise "
                "trainer.min_epochs to go on"
            )
        logger = trainer.logger
        fits = trainer.state.fn == TrainerFn.FITTING and not self._accepts_edited
        if not fits or not isinstance(logger, RunLogger):
            return
        if ROWS in checkpoint:
            refuse_together(trainer.strategy, lambda: logger.require_rows(checkpoint[ROWS]))
        else:
            rank_zero_warn(
                f"{trainer.ckpt_path} is of an earlier version, which did not note the rows of "
                "metrics.csv: whether they are complete is not checked"
            )

    @property
    def state_key(self) -> str:
        """One key whatever the cadence, so that changing it on a resume keeps the state."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)


def _is_behind(last: Path, resumed: Path) -> bool:
    """Whether the newest checkpoint is missing or of fewer RL steps; a copy has other times."""
    if not last.exists():
        return True
    try:
        return _rl_steps(last) < _rl_steps(resumed)
    except (CheckpointError, KeyError, OSError) as error:
        rank_zero_warn(f"{last} is left as it is: {error}")
        return False


def _rl_steps(checkpoint: Path) -> int:
    folder = is_distributed(checkpoint)
    state = load_rest(checkpoint) if folder else AtomicCheckpointIO().load_checkpoint(checkpoint)
    return int(state["rl_steps"])
