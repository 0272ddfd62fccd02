"""Which validations of a fit sample responses, beside decoding greedily."""

from __future__ import annotations

from typing import Literal, get_args

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

Sampling = Literal["always", "ends"]


def require_sampling(sampling: str) -> None:
    """Raise ValueError unless the plan is one of ``Sampling``."""
    if sampling not in get_args(Sampling):
        raise ValueError(f"evaluation.sampling={sampling!r}: choose one of {get_args(Sampling)}")


def check_plan(sampling: Sampling, trainer: Trainer) -> None:
    """Refuse a fit whose last validation is not known beforehand, if the plan needs it.

    Raises:
        ValueError: names the plan, the trainer's settings and the remedy.
    """
    steps, every = trainer.max_epochs, trainer.check_val_every_n_epoch
    if sampling == "ends" and (steps is None or steps < 0 or every is None):
        raise ValueError(
            f"evaluation.sampling=ends with trainer.max_epochs={steps} and "
            f"check_val_every_n_epoch={every}: the last validation is "
            "not known; set both, or evaluation.sampling to always"
        )


def samples_now(sampling: Sampling, trainer: Trainer, rl_step: int) -> bool:
    """Whether the evaluation of an RL step samples.

    Args:
        sampling: ``always``, or ``ends``: row 0 and the last validation of a fit.
        trainer: outside a fit every evaluation samples.
        rl_step: finished RL steps; 0 for the base.
    """
    if sampling == "always" or trainer.state.fn != TrainerFn.FITTING or rl_step == 0:
        return True
    every, steps = trainer.check_val_every_n_epoch, trainer.max_epochs
    assert every is not None and steps is not None  # check_plan
    return rl_step == steps // every * every
