"""Which responses a validation samples: of which sets, how many, how hot, and when in a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

Sampling = Literal["always", "ends"]


@dataclass(frozen=True)
class SetSampling:
    """How the problems of one evaluation set are answered; the paper's AIME and AMC by default.

    Args:
        samples: responses a problem (n) for avg@n, maj@n and pass@k; 0 for greedy decoding only.
        temperature: sampling temperature of those responses.
        greedy: whether each problem is answered greedily too; without it the set has no
            ``accuracy``.
        max_new_tokens: longest response; by default that of the evaluation.
    """

    samples: int = 32
    temperature: float = 0.6
    greedy: bool = False
    max_new_tokens: int | None = None

    @property
    def headline(self) -> str:
        """The score that stands for the set: avg@n where it is sampled, else greedy accuracy."""
        return f"avg@{self.samples}" if self.samples else "accuracy"

    def with_limit(self, max_new_tokens: int | None) -> SetSampling:
        """The plan with this limit of new tokens where it has none of its own."""
        if self.max_new_tokens is not None:
            return self
        return replace(self, max_new_tokens=max_new_tokens)

    def check(self, name: str) -> None:
        """Raise ValueError for a number out of range; ``name`` is the dotted key of the plan."""
        if self.samples < 0:
            raise ValueError(f"{name}.samples={self.samples} must not be negative")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"{name}.temperature={self.temperature} must be positive and finite")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"{name}.max_new_tokens={self.max_new_tokens} must be at least 1")
        if not self.samples and not self.greedy:
            raise ValueError(
                f"{name} has samples=0 and greedy=false, which answers nothing: set one of them"
            )


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
