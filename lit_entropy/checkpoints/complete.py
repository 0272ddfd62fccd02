"""Whether a checkpoint has all that a resume goes on from: Lightning starts at 0 what it lacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lit_entropy.errors import CheckpointError
from lit_entropy.types import State

#: What a fit writes beside the weights, and what its loops count by.
PARTS = (
    "rl_steps", "global_step", "loops", "callbacks", "lr_schedulers", "optimizer_states",
    "advantage",
)  # fmt: skip
_LOOP = "loops.fit_loop"
_EPOCHS = ("epoch_progress", "current", "processed")
_UPDATES = (
    "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total", "completed"
)  # fmt: skip
_BATCHES = ("epoch_loop.state_dict", "_batches_that_stepped")


def require_complete(checkpoint: State, path: str | Path, apart: Sequence[str] = ()) -> None:
    """Refuse to continue from a checkpoint without a part of its state, or with two that disagree.

    Args:
        checkpoint: as it was read.
        path: where from, for the message.
        apart: parts that are taken up elsewhere, or that nothing needs.

    Raises:
        CheckpointError: names the file, the part and the remedy.
    """
    require_parts(checkpoint, path, [part for part in PARTS if part not in apart])
    steps, updates = checkpoint["rl_steps"], checkpoint["global_step"]
    for keys, expected in ((_EPOCHS, steps), (_UPDATES, updates), (_BATCHES, updates)):
        found: object = checkpoint["loops"].get("fit_loop")
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        name = f"{_LOOP}: {'.'.join(keys)}"
        if found is None:
            _refuse(path, f"has no {name}")
        if found != expected:
            _refuse(path, f"has {name} = {found} after {steps} RL steps and {updates} updates")


def require_parts(checkpoint: State, path: str | Path, parts: Sequence[str]) -> None:
    """Raise CheckpointError where a checkpoint lacks one of the parts."""
    missing = [part for part in parts if part not in checkpoint]
    if missing:
        _refuse(path, f"has no {', '.join(missing)}")


def _refuse(path: str | Path, reason: str) -> None:
    raise CheckpointError(
        f"{path} {reason}, and a run would start from 0 there: resume from another checkpoint of "
        "lit-entropy fit, which writes it whole"
    )
