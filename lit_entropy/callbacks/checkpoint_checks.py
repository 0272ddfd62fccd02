"""What a checkpoint at the boundaries of RL steps asks of the trainer and of its metric."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from string import Formatter

import lightning as L
from lightning.pytorch.callbacks import GradientAccumulationScheduler, Timer
from lightning.pytorch.strategies import Strategy

from lit_entropy.errors import PartError


def unknown_metric(monitor: str, known: Iterable[str]) -> str:
    """What to say of a monitored metric that has not been logged, with near names.

    Args:
        monitor: its key.
        known: the keys that have been logged.
    """
    names = sorted(set(known) - {"step"})
    near = get_close_matches(monitor, names, 3, 0.5) or names
    return f"checkpoint.monitor={monitor} is not logged by this run: name one of {', '.join(near)}"


def check_filename(filename: str) -> None:
    """Refuse a name that is known only at the first checkpoint to be none, or that of the newest.

    Raises:
        ValueError: names what is wrong and the remedy.
    """
    try:
        fields = [name for _, name, _, _ in Formatter().parse(filename) if name is not None]
    except ValueError as error:
        raise ValueError(
            f"checkpoint.filename={filename!r}: {error}; write {{step}} for the RL step"
        ) from error
    if not fields and filename.casefold() == "last":
        raise ValueError(
            f"checkpoint.filename={filename!r} is the name of the newest checkpoint, last.ckpt: "
            "give the numbered ones another, rl_step_{step:05d} say"
        )


def check_own_folder(checkpoints: str | Path, run_folder: str | Path) -> None:
    """Refuse to write the checkpoints of a run outside of its folder.

    There ``--ckpt_path last`` does not find them, no lock guards them, and another run may replace
    them.

    Args:
        checkpoints: the folder that is asked for; a link within the run's folder is within it.
        run_folder: that of the run.

    Raises:
        ValueError: names both folders and the remedy.
    """
    for path in (os.path.abspath, os.path.realpath):
        if Path(path(run_folder)) in Path(path(checkpoints)).parents:
            return
    raise ValueError(
        f"checkpoint.dirpath={checkpoints} does not lie in the run's folder {run_folder}: leave it "
        "out (null), and name the place of the run with run.folder and run.name"
    )


def check_whole_step(rl_steps: int, updates: int, updates_per_step: int, ended: int) -> None:
    """Raise PartError where an RL step has ended that has not made all that belongs to it.

    Lightning takes a StopIteration of any part for the end of an epoch.

    Args:
        rl_steps: that have ended.
        updates: of the run so far.
        updates_per_step: of one RL step.
        ended: updates after which everything was done that follows one, validation included; a run
            cannot be continued from a checkpoint in which they are fewer.
    """
    missing = rl_steps * updates_per_step - updates
    if missing:
        raise PartError(
            f"RL step {rl_steps} ended {missing} of its {updates_per_step} updates early: a part "
            "of the run raised StopIteration, or returned -1 before a batch; let it raise another "
            "error"
        )
    if ended != updates:
        raise PartError(
            f"RL step {rl_steps} ended in what follows its last update, validation included: a "
            "part of the run raised StopIteration; let it raise another error"
        )


def check_ended(
    rl_steps: int, max_rl_steps: int | None, updates: int, max_updates: int, stopped: bool
) -> None:
    """Raise PartError where a fit has ended that nothing has asked to end.

    Lightning takes a StopIteration of any part for the end of the fit.

    Args:
        rl_steps: that were made.
        max_rl_steps: ``trainer.max_epochs``.
        updates: that were made.
        max_updates: ``trainer.max_steps``; -1 for any number.
        stopped: ``trainer.should_stop``.
    """
    limit = -1 if max_rl_steps is None else max_rl_steps
    if not (stopped or -1 < max_updates <= updates or -1 < limit <= rl_steps):
        raise PartError(
            f"the fit ended after RL step {rl_steps} of {limit}, and nothing had asked for it: a "
            "part of the run raised StopIteration; let it raise another error, or set "
            "trainer.should_stop"
        )


def refuse_together(strategy: Strategy, check: Callable[[], None]) -> None:
    """Let every rank raise what rank 0 finds wrong: one that went on would wait for it.

    A collective.

    Args:
        strategy: of this rank.
        check: what rank 0 alone can look at; it raises what is wrong.

    Raises:
        Exception: what ``check`` has raised; on other ranks a ValueError of the same words.
    """
    failure: Exception | None = None
    if strategy.is_global_zero:
        try:
            check()
        except Exception as error:
            failure = error
    said = strategy.broadcast(None if failure is None else str(failure))
    if failure is not None:
        raise failure
    if said is not None:
        raise ValueError(said)


def check_whole_steps(
    updates_per_step: int,
    *,
    fast_dev_run: bool,
    val_check_interval: float | None,
    max_steps: int,
    limit_train_batches: float | None,
    callbacks: Sequence[L.Callback],
) -> None:
    """Raise ValueError where a trainer of these settings would cut an RL step short."""
    if fast_dev_run:
        raise ValueError(
            "trainer.fast_dev_run cuts RL steps: set trainer.max_epochs=1 and small data sizes"
        )
    # None: by time; the number 1 is one batch
    if isinstance(val_check_interval, int) or val_check_interval != 1.0:
        raise ValueError(
            f"trainer.val_check_interval={val_check_interval} validates within an RL step: set "
            "trainer.check_val_every_n_epoch, which counts RL steps"
        )
    if max_steps != -1 and max_steps % updates_per_step:
        raise ValueError(
            f"trainer.max_steps={max_steps} ends within an RL step of {updates_per_step} "
            "updates: take a multiple, or trainer.max_epochs, which counts RL steps"
        )
    # overfit_batches sets it too; the number 1 is one batch
    if isinstance(limit_train_batches, int) or limit_train_batches != 1.0:
        raise ValueError(
            "trainer.limit_train_batches or overfit_batches cuts minibatches apart: set "
            "data.prompts_per_step and data.minibatch_size instead"
        )
    for callback in callbacks:
        if (
            isinstance(callback, GradientAccumulationScheduler)
            and callback.going_to_accumulate_grad_batches()
        ):
            raise ValueError(
                "GradientAccumulationScheduler changes the microbatches during a run: set "
                "trainer.accumulate_grad_batches"
            )
        if isinstance(callback, Timer) and callback._interval == "step":
            duration = timedelta(seconds=callback._duration or 0)
            raise ValueError(
                f"trainer.max_time={duration} may end within an RL step: use the callback "
                "lightning.pytorch.callbacks.Timer with interval: epoch"
            )
