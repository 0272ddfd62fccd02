"""How a fit ends, as it is known when the checkpoint of an RL step is written."""

from collections.abc import Iterable
from typing import Protocol

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

#: Key of a checkpoint: whether an early stop has ended the fit with its RL step.
STOPPED = "stopped_early"


class FitState(Protocol):
    """What a trainer says of the length of its fit, in RL steps (epochs) and updates (steps)."""

    should_stop: bool

    @property
    def max_epochs(self) -> int | None: ...
    @property
    def max_steps(self) -> int: ...
    @property
    def min_epochs(self) -> int | None: ...
    @property
    def min_steps(self) -> int | None: ...
    @property
    def global_step(self) -> int: ...


def most_rl_steps(max_epochs: int | None, max_steps: int, updates_per_step: int) -> int | None:
    """RL steps of a fit of at most so many RL steps and so many updates.

    Lightning takes what continues a fit that a number of updates ends for one that was interrupted
    within an epoch, and begins with the end of an RL step that it has not made.

    Args:
        max_epochs: RL steps; None and -1 are any number.
        max_steps: updates, a multiple of those of an RL step; -1 is any number.
        updates_per_step: updates of an RL step.
    """
    if max_steps == -1:
        return max_epochs
    rl_steps = max_steps // updates_per_step
    return rl_steps if max_epochs in (None, -1) else min(rl_steps, max_epochs or 0)


def is_last_step(fit: FitState, rl_step: int) -> bool:
    """Whether a fit ends with an RL step whose updates are made.

    Args:
        fit: where it is.
        rl_step: the current one, from 1.
    """
    if fit.max_epochs == rl_step or -1 < fit.max_steps <= fit.global_step:
        return True
    enough = rl_step >= (fit.min_epochs or 0) and fit.global_step >= (fit.min_steps or 0)
    return fit.should_stop and enough


def stopped_early(callbacks: Iterable[Callback], rl_step: int) -> bool:
    """Whether an ``EarlyStopping`` has asked for the end of a fit, which stops, in this RL step.

    Args:
        callbacks: of the fit.
        rl_step: the current one, from 1.
    """
    return any(
        isinstance(callback, EarlyStopping)
        and callback.stopped_epoch == rl_step - 1
        # epoch 0 is also that of one that has not stopped
        and (rl_step > 1 or callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED)
        for callback in callbacks
    )


def may_stop_early(callbacks: Iterable[Callback]) -> bool:
    """Whether an ``EarlyStopping`` watches over a fit."""
    return any(isinstance(callback, EarlyStopping) for callback in callbacks)
