"""What a run leaves that ended before its first RL step: its name is free again."""

from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only

from lit_entropy.tracking.abandoned_files import set_run_aside
from lit_entropy.tracking.metrics_file import METRICS_FILE, STEP, read_rows


def release_run_folder(folder: Path | None, trains: bool = True) -> None:
    """Free the name of a run that was refused, or that failed before its first RL step had a row.

    Nothing is lost: a folder with more than the configuration takes another name.

    Args:
        folder: the folder that was claimed; None for a run that was continued.
        trains: whether it is that of a fit; others have no RL steps, and keep what they wrote.
    """
    owner = getattr(rank_zero_only, "rank", 0) in (None, 0)
    if folder is None or not owner or not folder.is_dir():
        return
    found = [path for path in folder.iterdir() if not _is_empty(path)]
    if {path.name for path in found} <= {"config.yaml"}:
        (folder / "config.yaml").unlink(missing_ok=True)
        for path in folder.iterdir():
            path.rmdir()
        folder.rmdir()
    elif trains and not _has_trained(folder):
        aside = set_run_aside(folder)
        rank_zero_info(f"The run ended before its first RL step: what it wrote is now in {aside}")


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _has_trained(folder: Path) -> bool:
    """Whether a run has a checkpoint or a row of an RL step; row 0 is a validation of the base."""
    table = folder / METRICS_FILE
    try:
        steps = {row[STEP] for row in read_rows(table)} if table.exists() else set()
    except ValueError:  # a part has written there: what it is nobody knows
        return True
    return bool(steps - {"0"}) or any(folder.glob("checkpoints/*"))
