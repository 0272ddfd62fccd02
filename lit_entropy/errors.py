"""Errors with a remedy, shared by training and checkpointing."""

from collections.abc import Sequence
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
