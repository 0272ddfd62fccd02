"""In what the files of two runs differ, times apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from attacked_runs import NAME, STEPS

from lit_entropy.tracking.metrics_file import read_rows


def lost_rows(table: Path) -> int:
    """RL steps without a row of their own; a validation before the first has row 0."""
    steps = [int(row["step"]) for row in read_rows(table)]
    wanted = set(range(1, STEPS + 1))
    return len(wanted - set(steps)) + len(steps) - len(set(steps))


def differences(folder: Path, whole: Path, named: Sequence[str] = ()) -> list[str]:
    """Everything but times in which the files of two runs differ.

    Args:
        folder: of the run that was attacked.
        whole: that of the reference.
        named: files that may be more; so are rows and files set aside, as far as they are right.
    """
    ours, theirs = folder / "runs" / NAME, whole / "runs" / NAME
    found = [f"left behind: {path}" for path in leftovers(folder)]
    here, expected = (
        {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
        for run in (ours, theirs)
    )
    set_aside = {name for name in here if "-abandoned" in name}
    more = here - expected - set_aside - set(named)
    found += [f"one file more: {name}" for name in sorted(more)]
    found += [f"one file less: {name}" for name in sorted(expected - here)]
    for name in sorted(here & expected):
        compare = COMPARED.get(Path(name).suffix, same_bytes)
        found += [f"{name}: {text}" for text in compare(ours / name, theirs / name)]
    rows = {row["step"]: row for row in timeless(theirs / "metrics.csv")}
    for name in sorted(name for name in set_aside if "/" in name):  # samples and token pages
        again = name.replace("-abandoned", "")
        found += [f"{name}: {text}" for text in same_bytes(ours / name, theirs / again)]
    for name in sorted(name for name in set_aside if name.endswith(".csv")):
        wrong = [r for r in timeless(ours / name) if not r.items() <= rows[r["step"]].items()]
        found += [f"{name}: RL step {row['step']} differs" for row in wrong]
    return found


def leftovers(folder: Path) -> list[str]:
    """Temporary files, and locks of nobody."""
    run = folder / "runs"
    here = [*run.rglob("*.tmp-*"), *run.rglob("*.new"), *run.rglob("*.old"), *run.rglob(".lock")]
    return sorted(str(path.relative_to(folder)) for path in here)


def same_bytes(ours: Path, theirs: Path) -> list[str]:
    return [] if ours.read_bytes() == theirs.read_bytes() else ["other bytes"]


def timeless(table: Path) -> list[dict[str, str]]:
    """The rows of a table, as text, without times."""
    return [
        {key: cell for key, cell in row.items() if not key.startswith("time/")}
        for row in read_rows(table)
    ]


def same_rows(ours: Path, theirs: Path) -> list[str]:
    """Bit for bit: numbers are written with all of their digits."""
    rows, expected = timeless(ours), timeless(theirs)
    if [row["step"] for row in rows] != [row["step"] for row in expected]:
        return [f"rows {[row['step'] for row in rows]}, not {[row['step'] for row in expected]}"]
    return [
        f"RL step {row['step']}: {sorted(set(row.items()) ^ set(other.items()))[:4]}"
        for row, other in zip(rows, expected, strict=True)
        if row != other
    ]


def same_checkpoint(ours: Path, theirs: Path) -> list[str]:
    """All that a resume goes on from: weights, optimizer, loops, callbacks, schedule."""
    files = [torch.load(path, weights_only=True) for path in (ours, theirs)]
    return list(apart(files[0], files[1], ""))


#: Parts of a checkpoint that say when or where, not what.
PLACES = ("metrics_rows", "dirpath", "best_model_path", "last_model_path", "best_k_models",
           "kth_best_model_path", "time_elapsed")  # fmt: skip


def apart(ours: Any, theirs: Any, name: str) -> list[str]:
    """The names of what differs in two nested values; NaN is NaN."""
    if isinstance(theirs, torch.Tensor):
        same = isinstance(ours, torch.Tensor) and torch.equal(ours, theirs)
        return [] if same else [name]
    if isinstance(theirs, dict):
        if not isinstance(ours, dict) or ours.keys() != theirs.keys():
            return [f"{name} (keys)"]
        keys = [key for key in theirs if key not in PLACES]
        return [text for key in keys for text in apart(ours[key], theirs[key], f"{name}.{key}")]
    if isinstance(theirs, list | tuple):
        if len(ours) != len(theirs):
            return [f"{name} (length)"]
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [text for at, (a, b) in pairs for text in apart(a, b, f"{name}[{at}]")]
    return [] if ours == theirs or (ours != ours and theirs != theirs) else [name]


COMPARED: dict[str, Callable[[Path, Path], list[str]]] = {
    ".csv": same_rows,
    ".ckpt": same_checkpoint,
}
