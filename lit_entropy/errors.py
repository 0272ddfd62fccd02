"""Errors with a remedy, shared by training and checkpointing."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # that an error can be named does not need torch
    from torch import Tensor


class NonFiniteError(FloatingPointError):
    """A quantity of the run became NaN or infinite."""


class UncheckedError(RuntimeError):
    """Not one response could be checked, so there is nothing to learn from or to report."""


class ContractError(TypeError):
    """A plug-in returned something of another type or shape than its contract says."""


class PartError(RuntimeError):
    """A part of a run, or another program, did to the run what none may."""


class CheckpointError(RuntimeError):
    """A file is not a readable checkpoint of this project."""


class FailedRunsError(RuntimeError):
    """Some of many runs failed; names each with its log."""

    def __init__(self, names: Sequence[str], logs: Path) -> None:
        """Make the message.

        Args:
            names: of the runs.
            logs: folder of their logs.
        """
        listed = ", ".join(f"{name} ({logs / name}.log)" for name in names)
        count = "1 run" if len(names) == 1 else f"{len(names)} runs"
        super().__init__(f"{count} failed: {listed}; the same command tries again what is missing")


class DryRunError(ValueError):
    """A configuration that a run may take, but of which a dry run does not know enough."""


#: What a file system says that takes no more: it is full, or what a user or a file may have is.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(error: BaseException) -> str | None:
    """What to say of an error that a full disk has caused, in one line; None for any other.

    Writers of other libraries raise errors of their own, from the system's or with its words.
    """
    for cause in _causes(error):
        code = cause.errno if isinstance(cause, OSError) else None
        said = [full for full in FULL if f"(os error {full})" in str(cause)]
        code = code if code in FULL else next(iter(said), None)
        if code is not None:
            notes = [n for e in _causes(error) for n in getattr(e, "__notes__", [])]
            name = getattr(cause, "filename", None)
            place = notes[0] if notes else f"while writing {name}" if name else ""
            place = f" {place}" if place else ""
            return (
                f"disk full ({os.strerror(code)}){place}: free some space or raise the limit; a "
                "run goes on with --ckpt_path RUN/checkpoints/last.ckpt, RUN its folder"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from or while handling."""
    found: BaseException | None = error
    for _ in range(20):  # they may go round
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


def ensure_finite(name: str, tensor: "Tensor", step: int) -> None:
    """Stop at the first NaN or infinity, before it reaches the weights or a file.

    Args:
        name: the quantity, as a reader of the message knows it (``advantages``, ``gradient norm``).
        tensor: any shape; integer and boolean tensors are finite by definition.
        step: RL step, for the message.

    Raises:
        NonFiniteError: naming quantity, RL step, number of bad entries and the remedy.
    """
    finite = tensor.isfinite()
    if bool(finite.all()):
        return
    nan = int(tensor.isnan().sum())
    bad = int((~finite).sum())
    raise NonFiniteError(
        f"{name} is not finite at RL step {step}: {bad} of {tensor.numel()} entries "
        f"({nan} NaN, {bad - nan} infinite). Resume from the last checkpoint, which is finite, "
        "with a lower learning rate or trainer.gradient_clip_val, and check the rewards."
    )
