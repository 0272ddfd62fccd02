"""The checkpoint that a command names, by its file or as the newest of a run."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import overload

from lit_entropy.checkpoints.folders import is_distributed
from lit_entropy.closest import did_you_mean, files_near

#: Stands for the newest checkpoint of a run.
LAST = "last"


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
        ValueError: ``last``, and a later start of the same name has written since.
    """
    if ckpt_path is None:
        return None
    folder = Path(run_folder) / "checkpoints"
    path = folder / "last.ckpt" if str(ckpt_path) == LAST else Path(ckpt_path)
    if path.is_file() or is_distributed(path):
        newer = _newer_starts(path) if str(ckpt_path) == LAST else []
        if newer:
            raise ValueError(
                f"{key}={LAST} is {path}, and later starts of this run have newer checkpoints: "
                f"name the one that is meant, {', '.join(map(str, [*newer, path]))}"
            )
        return path
    # .old: a folder whose replacement was killed between two renames
    found = [*folder.glob("*.ckpt"), *folder.glob("*.ckpt.old")]
    present = sorted(str(file) for file in found)
    remedy = did_you_mean(str(ckpt_path), [word for word in words if word != str(ckpt_path)])
    remedy = remedy or (f"; name one of {present}" if present else meant(path))
    remedy = remedy or files_near(str(path)) or _nearest_run(folder.parent)
    remedy = remedy or f"; name a file, or {' or '.join(words)}, or leave it out"
    raise FileNotFoundError(f"{key}={str(ckpt_path)!r}: there is no file {path}{remedy}")


def _newer_starts(last: Path) -> list[Path]:
    """The newest checkpoints of later starts, ``name-2`` and so on, that are newer than ``last``.

    The newest of them first.
    """
    run = last.parent.parent
    starts = [
        file
        for file in run.parent.glob(f"*/checkpoints/{last.name}")
        if re.fullmatch(rf"{re.escape(run.name)}-\d+", file.parts[-3])
    ]
    written = {file: file.stat().st_mtime for file in starts}
    newer = [file for file in starts if written[file] >= last.stat().st_mtime]
    return sorted(newer, key=lambda file: written[file], reverse=True)


def meant(path: Path) -> str:
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
