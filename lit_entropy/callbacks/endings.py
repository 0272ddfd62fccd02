"""How a fit ends, as it is known when the checkpoint of an RL step is written."""

from collections.abc import Mapping

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.rank_zero import rank_zero_info

#: Key of a checkpoint: whether an early stop has ended the fit with its RL step.
STOPPED = "stopped_early"


def end_by_rl_steps(trainer: L.Trainer, updates_per_step: int) -> None:
    """Let a fit that ``trainer.max_steps`` ends be ended by its number of RL steps.

    Lightning takes what continues a fit of so many updates for one that was interrupted within an
    epoch, and begins with the end of an RL step that it has not made.

    Args:
        trainer: before its fit; its ``max_steps`` is a multiple of the updates.
        updates_per_step: of one RL step.
    """
    if trainer.max_steps == -1:
        return
    loop, rl_steps = trainer.fit_loop, trainer.max_steps // updates_per_step
    unlimited = loop.max_epochs is None or loop.max_epochs == -1
    loop.max_epochs = rl_steps if unlimited else min(rl_steps, loop.max_epochs)
    loop.epoch_loop.max_steps = -1


def is_last_step(trainer: L.Trainer, rl_step: int) -> bool:
    """Whether a fit ends with an RL step whose updates are made.

    Args:
        trainer: that makes the fit.
        rl_step: the current one, from 1.
    """
    if trainer.max_epochs == rl_step or -1 < trainer.max_steps <= trainer.global_step:
        return True
    least_steps, least_updates = trainer.min_epochs or 0, trainer.min_steps or 0
    enough = rl_step >= least_steps and trainer.global_step >= least_updates
    return trainer.should_stop and enough


def stopped_early(trainer: L.Trainer, rl_step: int) -> bool:
    """Whether an ``EarlyStopping`` has asked for the end of the fit in this RL step.

    Args:
        trainer: that makes the fit.
        rl_step: the current one, from 1.
    """
    return trainer.should_stop and any(
        isinstance(callback, EarlyStopping) and callback.stopped_epoch == rl_step - 1
        for callback in trainer.callbacks  # type: ignore[attr-defined]
    )


def stop_again(trainer: L.Trainer, checkpoint: Mapping[str, object]) -> None:
    """Let what continues a fit end where an early stop has ended it.

    Lightning keeps the state of an ``EarlyStopping`` and forgets that it has asked for the end.

    Args:
        trainer: of the fit that continues; without the callback it goes on.
        checkpoint: that it continues.
    """
    asks = any(isinstance(callback, EarlyStopping) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    if asks and checkpoint.get(STOPPED):
        trainer.should_stop = True
        rank_zero_info(
            f"EarlyStopping has ended this run with RL step {checkpoint['rl_steps']}: leave it out "
            "of trainer.callbacks to go on"
        )
