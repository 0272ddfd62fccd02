"""The folder of a run, ``<save_dir>/<name>``: claimed once, never overwritten."""

from itertools import count
from pathlib import Path, PurePath

from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only


def claim_run_folder(save_dir: str | Path, name: str, resume: bool) -> str:
    """Make the folder of a run; call it before anything writes there.

    A folder that exists belongs to another run, even when nothing is in it yet: its process may
    just have started. Ranks other than zero touch nothing (Lightning tells them rank zero's
    folders).

    Args:
        save_dir: folder of all runs.
        name: wanted name; may contain ``/`` to group runs, must stay below ``save_dir``.
        resume: True to continue the run of this very name.

    Returns:
        ``name``, or the first free one of ``name-2``, ``name-3``, ... for a fresh start.

    Raises:
        ValueError: a name that leaves ``save_dir``.
    """
    path = PurePath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"name={name!r} must be a relative name below save_dir, such as 'kl_cov'")
    if getattr(rank_zero_only, "rank", 0) not in (None, 0):
        return name
    if resume:
        (Path(save_dir) / name).mkdir(parents=True, exist_ok=True)
        return name
    (Path(save_dir) / name).parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            (Path(save_dir) / candidate).mkdir()  # fails if it exists: the claim, free of races
        except FileExistsError:
            continue
        if number > 1:
            rank_zero_info(f"{Path(save_dir) / name} is an earlier run: this one is {candidate}")
        return candidate
    raise AssertionError("unreachable")


def release_run_folder(folder: Path | None) -> None:
    """Free the name of a run that was refused before it did anything.

    Args:
        folder: the folder that was claimed; None for a run that was continued.
    """
    if folder is None or getattr(rank_zero_only, "rank", 0) not in (None, 0):
        return
    if {path.name for path in folder.iterdir()} <= {"config.yaml"}:
        (folder / "config.yaml").unlink(missing_ok=True)
        folder.rmdir()
