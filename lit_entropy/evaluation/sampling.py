"""Which responses a validation samples: of which sets, how many, how hot, and when in a fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lightning.pytorch.callbacks import EarlyStopping, Timer

from lit_entropy.functional.checks import LARGEST_COUNT, require_at_most, require_temperature

Sampling = Literal["always", "ends"]


@dataclass(frozen=True)
class SetSampling:
    """How the problems of one evaluation set are answered; the paper's AIME and AMC by default.

    Args:
        samples: responses per problem (n) for avg@n, maj@n and pass@k; 0 for greedy decoding only.
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
        """The same with this limit of new tokens where it has none of its own."""
        if self.max_new_tokens is not None:
            return self
        return replace(self, max_new_tokens=max_new_tokens)

    def check(self, name: str) -> None:
        """Raise ValueError for a number out of range; ``name`` is its dotted key."""
        if self.samples < 0:
            raise ValueError(f"{name}.samples={self.samples} must not be negative")
        require_at_most(f"{name}.samples", self.samples, LARGEST_COUNT)
        require_temperature(f"{name}.temperature", self.temperature)
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"{name}.max_new_tokens={self.max_new_tokens} must be at least 1")
        if not self.samples and not self.greedy:
            raise ValueError(
                f"{name} has samples=0 and greedy=false, which answers nothing: set one of them"
            )


def require_sampling(sampling: str) -> None:
    """Raise ValueError unless it is one of ``Sampling``."""
    if sampling not in get_args(Sampling):
        raise ValueError(f"evaluation.sampling={sampling!r}: choose one of {get_args(Sampling)}")


def check_ends(sampling: Sampling, every: int | None, steps: int | None) -> None:
    """Refuse a fit whose last validation is not known beforehand, if ``sampling`` needs it.

    Args:
        sampling: ``always`` or ``ends``.
        every: RL steps from one validation to the next (``trainer.check_val_every_n_epoch``).
        steps: RL steps of the fit (``trainer.max_epochs``).

    Raises:
        ValueError: names the settings and the remedy.
    """
    if sampling == "ends" and (steps is None or steps < 0 or every is None):
        raise ValueError(
            f"evaluation.sampling=ends with trainer.max_epochs={steps} and "
            f"check_val_every_n_epoch={every}: the last validation is "
            "not known; set both, or evaluation.sampling to always"
        )


def has_greedy_ones(sampling: Sampling, every: int | None, steps: int | None) -> bool:
    """Whether some validations of a fit do not sample: those between the base and the last one.

    Args:
        sampling: ``always`` or ``ends``.
        every: RL steps from one validation to the next.
        steps: RL steps of the fit.
    """
    return sampling == "ends" and every is not None and steps is not None and steps >= 2 * every


def ends_note(
    sampling: Sampling, every: int | None, steps: int | None, callbacks: Iterable[object]
) -> str | None:
    """What holds of the last validation of a fit that may end before it; None where it may not.

    Args:
        sampling: ``always`` or ``ends``.
        every: RL steps from one validation to the next.
        steps: RL steps of the fit.
        callbacks: of the trainer.
    """
    own = {EarlyStopping: "EarlyStopping", Timer: "trainer.max_time"}
    names = [name for kind, name in own.items() if any(isinstance(c, kind) for c in callbacks)]
    if not (names and has_greedy_ones(sampling, every, steps)):
        return None
    assert every is not None and steps is not None  # has_greedy_ones
    return (
        f"evaluation.sampling=ends samples before RL step 1 and after {steps // every * every}: "
        f"a fit that {' or '.join(names)} ends earlier has no sampled last validation; set "
        "evaluation.sampling to always where it must"
    )


def samples_now(
    sampling: Sampling, rl_step: int, fitting: bool, every: int | None, steps: int | None
) -> bool:
    """Whether the evaluation of an RL step samples.

    Args:
        sampling: ``always``, or ``ends``: row 0 and the last validation of a fit.
        rl_step: finished RL steps; 0 for the base.
        fitting: whether a fit is under way; outside of one every evaluation samples.
        every: RL steps from one validation of the fit to the next.
        steps: RL steps of the fit.
    """
    if sampling == "always" or not fitting or rl_step == 0:
        return True
    assert every is not None and steps is not None  # check_ends
    return rl_step == steps // every * every
