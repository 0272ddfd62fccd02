"""Checkpoints that a kill, a full disk or a NaN cannot spoil, and the rules of a resume.

The file is written beside its final name and renamed: Lightning's own save goes through TMPDIR and
is a plain copy when that lies on another filesystem, and it swallows ``PermissionError``.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from torch.serialization import MAP_LOCATION, set_crc32_options

from lit_entropy.atomic import atomic_write, replace_path, sweep_unfinished
from lit_entropy.checkpoints.folders import is_distributed, load_whole
from lit_entropy.checkpoints.intact import load_intact
from lit_entropy.checkpoints.resolve import LAST, meant, resolve_checkpoint
from lit_entropy.checkpoints.resume import MAY_CHANGE, check_same_experiment
from lit_entropy.errors import CheckpointError, ensure_finite
from lit_entropy.types import State

__all__ = [
    "LAST",
    "MAY_CHANGE",
    "AtomicCheckpointIO",
    "check_same_experiment",
    "resolve_checkpoint",
]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves finite checkpoints atomically and loads tensors only, never pickled code.

    Pass it as ``Trainer(plugins=[AtomicCheckpointIO()])``.
    """

    def save_checkpoint(
        self, checkpoint: State, path: str | Path, storage_options: object = None
    ) -> None:
        """Write ``path`` so that it holds either the old or the new checkpoint, whatever happens.

        Args:
            checkpoint: module and trainer state.
            path: target on a local or mounted filesystem.
            storage_options: not supported, must be None.

        Raises:
            NonFiniteError: when a tensor of the weights or of the optimizer is NaN or infinite.
            OSError: disk full, no permission, and the like; an existing file is left as it was.
        """
        if storage_options is not None:
            raise ValueError(f"storage_options={storage_options!r} is not supported: leave it out.")
        checked_tensors(checkpoint)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_unfinished(target.parent)
        new = target.with_name(f"{target.name}.new") if is_distributed(target) else target
        set_crc32_options(True)  # what a load compares
        with atomic_write(new) as file:
            torch.save(checkpoint, file)
        if new != target:  # a file does not replace a folder in one step
            replace_path(new, target)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: MAP_LOCATION = "cpu",
        weights_only: bool | None = None,
    ) -> State:
        """Read a checkpoint with ``weights_only=True``, every byte of it against its checksum.

        Args:
            path: local file, or a folder to which several ranks wrote, which is joined in memory.
            map_location: as in ``torch.load``.
            weights_only: True or None; False is refused.

        Raises:
            FileNotFoundError: no such file.
            CheckpointError: the file is empty, truncated, changed by as much as a bit, or not a
                checkpoint.
        """
        if weights_only is False:
            raise ValueError("weights_only=False runs code from the file: leave it out.")
        if is_distributed(path):
            return load_whole(path)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"there is no checkpoint file {path} (remote addresses are not read)"
                f"{meant(Path(path))}"
            )
        try:
            with open(path, "rb") as file:
                checkpoint = load_intact(file, map_location)
        except CheckpointError as error:
            raise _unreadable(path, str(error)) from error
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # torch raises half a dozen types for a damaged file
            first = str(error).partition("\n")[0]
            raise _unreadable(path, f"{type(error).__name__}: {first}") from error
        if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
            raise _unreadable(path, "it holds no state_dict")
        return checkpoint


def checked_tensors(checkpoint: State) -> None:
    """Raise NonFiniteError for a NaN or infinity in weights and states, the advantage's too."""
    step = int(checkpoint.get("epoch", -1)) + 1  # one epoch is one RL step, counted from 0
    for part in ("state_dict", "optimizer_states", "advantage"):
        for name, value in _tensors(checkpoint.get(part, {}), part):
            ensure_finite(f"checkpoint not saved: {name}", value, step)


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a nested state, with dotted names."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{name}.{index}")


def _unreadable(path: str | Path, reason: str) -> CheckpointError:
    others = sorted(p.name for p in Path(path).parent.glob("*.ckpt") if p.name != Path(path).name)
    remedy = f"one of {others} beside it" if others else "a copy of it, or start a fresh run"
    return CheckpointError(
        f"{path} is damaged or not a checkpoint of this project ({reason}). Resume from {remedy}."
    )
