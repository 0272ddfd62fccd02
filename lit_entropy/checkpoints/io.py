"""Checkpoints that a kill, a full disk or a NaN cannot spoil, and the rules of a resume.

The file is written beside its final name and renamed: Lightning's own save goes through TMPDIR and
is a plain copy when that lies on another filesystem, and it swallows ``PermissionError``.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import overload

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from torch.serialization import MAP_LOCATION, set_crc32_options

from lit_entropy.atomic import atomic_write, replace_path, sweep_unfinished
from lit_entropy.checkpoints.folders import is_distributed, load_whole
from lit_entropy.checkpoints.intact import load_intact
from lit_entropy.checkpoints.resume import MAY_CHANGE, check_same_experiment
from lit_entropy.closest import did_you_mean, files_near
from lit_entropy.errors import CheckpointError, ensure_finite
from lit_entropy.types import State

__all__ = [
    "MAY_CHANGE",
    "AtomicCheckpointIO",
    "check_same_experiment",
    "resolve_checkpoint",
]

#: Stands for the newest checkpoint of a run.
LAST = "last"


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
                f"{_meant(Path(path))}"
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


@overload
def resolve_checkpoint(
    ckpt_path: None, run_folder: str | Path, key: str = ..., words: Sequence[str] = ...
) -> None: ...


@overload
def resolve_checkpoint(
    ckpt_path: str | Path, run_folder: str | Path, key: str = ..., words: Sequence[str] = ...
) -> Path: ...


def resolve_checkpoint(
    ckpt_path: str | Path | None,
    run_folder: str | Path,
    key: str = "ckpt_path",
    words: Sequence[str] = (LAST,),
) -> Path | None:
    """The file, or folder of a distributed checkpoint, to resume from.

    Args:
        ckpt_path: a file, ``last`` for the run's newest checkpoint, or None for a fresh start.
        run_folder: folder of the run.
        key: the setting that names it, for errors.
        words: what it may be beside a file.

    Raises:
        FileNotFoundError: when there is no such file (Lightning would start from scratch).
    """
    if ckpt_path is None:
        return None
    folder = Path(run_folder) / "checkpoints"
    path = folder / "last.ckpt" if str(ckpt_path) == LAST else Path(ckpt_path)
    if path.is_file() or is_distributed(path):
        return path
    # .old: a folder whose replacement was killed between two renames
    found = [*folder.glob("*.ckpt"), *folder.glob("*.ckpt.old")]
    present = sorted(str(file) for file in found)
    remedy = did_you_mean(str(ckpt_path), [word for word in words if word != str(ckpt_path)])
    remedy = remedy or (f"; name one of {present}" if present else _meant(path))
    remedy = remedy or files_near(str(path)) or _nearest_run(folder.parent)
    remedy = remedy or f"; name a file, or {' or '.join(words)}, or leave it out"
    raise FileNotFoundError(f"{key}={str(ckpt_path)!r}: there is no file {path}{remedy}")


def _meant(path: Path) -> str:
    """The checkpoints of a run whose folder was named in place of a checkpoint."""
    last = [path / "checkpoints" / "last.ckpt", path / "last.ckpt"]
    found = [str(file) for file in last if file.exists()]
    if not found and path.is_dir():
        found = [str(file) for file in sorted(path.glob("**/last.ckpt"))[:3]]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _nearest_run(folder: Path) -> str:
    """The newest checkpoint of the run named most like one that has none."""
    runs = {file.parts[-3]: file for file in folder.parent.glob("*/checkpoints/last.ckpt")}
    near = get_close_matches(folder.name, runs, n=1, cutoff=0.4)
    if not near:
        return ""
    return (
        f"; last is that of the run which the command names, and what it changes changes the name: "
        f"to continue {near[0]} write --ckpt_path {runs[near[0]]}"
    )
