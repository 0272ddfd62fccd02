"""The folder of a run, ``<save_dir>/<name>``: claimed once, never overwritten."""

import errno
from collections.abc import Iterable
from itertools import count
from pathlib import Path, PurePath
from typing import Protocol, runtime_checkable

from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only

from lit_entropy.atomic import sweep_unfinished
from lit_entropy.tracking.abandoned_files import ABANDONED, STEP_FOLDERS
from lit_entropy.tracking.metrics_file import METRICS_FILE

#: Checkpoints by name; ``.old`` is one whose replacement was killed.
PATTERNS = ("*.ckpt", "*.ckpt.old")
#: Folders within that of a run to which files are written beside their names.
WRITTEN = (
    "checkpoints", "figures", *STEP_FOLDERS, *(f"{name}{ABANDONED}" for name in STEP_FOLDERS),
)  # fmt: skip


def claim_run_folder(save_dir: str | Path, name: str, resume: bool, announce: bool = True) -> str:
    """Make the folder of a run; call it before anything writes there.

    A folder that exists belongs to another run, even when nothing is in it yet: its process may
    just have started. Ranks other than zero touch nothing (Lightning tells them rank zero's
    folders).

    Args:
        save_dir: folder of all runs.
        name: wanted name; may contain ``/`` to group runs, must stay below ``save_dir``.
        resume: True to continue the run of this very name.
        announce: say that the name was taken; see :func:`announce_run`.

    Returns:
        ``name``, or the first free one of ``name-2``, ``name-3``, ... for a fresh start.

    Raises:
        ValueError: a name that leaves ``save_dir``, lies within the folder of another run, or has
            a character that cannot be shown.
    """
    path = PurePath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"name={name!r} must be a relative name below save_dir, such as 'kl_cov'")
    for key, text in (("name", name), ("save_dir", str(save_dir))):
        if not text.isprintable():
            raise ValueError(
                f"{key}={text!r} holds a line end or another character that cannot be shown: leave "
                "it out, terminals and logs would act on it"
            )
    if getattr(rank_zero_only, "rank", 0) not in (None, 0):
        return name
    if resume:
        (Path(save_dir) / name).mkdir(parents=True, exist_ok=True)
        return name
    for parent in path.parents:
        if (Path(save_dir) / parent / METRICS_FILE).is_file():
            raise ValueError(
                f"name={name!r}: {Path(save_dir) / parent} is the folder of another run, in which "
                "nothing is written: take a name or a folder outside of it"
            )
    try:
        (Path(save_dir) / name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _refuse_long(name, error)
        raise
    for number in count(1):
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            (Path(save_dir) / candidate).mkdir()  # fails if it exists: the claim, free of races
        except FileExistsError:
            continue
        except OSError as error:
            _refuse_long(name, error)
            raise
        if announce:
            announce_run(save_dir, name, candidate)
        return candidate
    raise AssertionError("unreachable")


def _refuse_long(name: str, error: OSError) -> None:
    """Raise ValueError where a folder cannot be made since its name is too long."""
    if error.errno == errno.ENAMETOOLONG:
        shown = f"{name[:40]}..." if len(name) > 43 else name
        raise ValueError(
            f"name={shown!r} has {len(name)} characters, more than the name of a folder may have: "
            "give a shorter one"
        ) from error


def announce_run(save_dir: str | Path, name: str, claimed: str) -> None:
    """Say that the name of a run was taken and which one it has.

    Args:
        save_dir: folder of all runs.
        name: as it was wanted.
        claimed: as it is.
    """
    if claimed != name:
        rank_zero_info(f"{Path(save_dir) / name} is an earlier run: this one is {claimed}")


def sweep_run_folder(folder: Path) -> None:
    """Remove what processes that were killed had begun to write into a run's folder.

    Call it as the folder's owner. What stays is every file under a name of its own.
    """
    if getattr(rank_zero_only, "rank", 0) in (None, 0):
        for written in (folder, *(folder / name for name in WRITTEN)):
            sweep_unfinished(written)


@runtime_checkable
class FolderLogger(Protocol):
    """A logger that adds to a file of its folder, so that a resumed run goes on there."""

    def earlier_file(self) -> Path | None:
        """The file of an earlier run that the next call would add to."""


def check_no_other_run(loggers: Iterable[object]) -> None:
    """Refuse a fresh start whose loggers would add to another run's files.

    The command line claims a folder of its own; loggers that are built by hand may share a name.

    Args:
        loggers: those of the Trainer.

    Raises:
        ValueError: names the file.
    """
    for logger in loggers:
        file = logger.earlier_file() if isinstance(logger, FolderLogger) else None
        if file is not None:
            raise ValueError(
                f"{file} belongs to an earlier run, and a fresh start would be mixed with it: give "
                f"{type(logger).__name__} a name from claim_run_folder(save_dir, name, "
                "resume=False), or continue that run with ckpt_path"
            )


def check_no_other_checkpoints(
    folder: Path, resumed: Path | None, run_folder: str | Path | None
) -> None:
    """Refuse to write checkpoints where another run keeps its own, which they would replace.

    Args:
        folder: where checkpoints are to be written.
        resumed: the checkpoint that is continued; None for a fresh start.
        run_folder: the run's folder, if there is one.

    Raises:
        ValueError: names the folder and the checkpoints in it.
    """
    found = sorted(path.name for pattern in PATTERNS for path in folder.glob(pattern))
    if not found:
        return
    if resumed is not None:
        own = [folder.resolve()]
        if run_folder is not None and Path(run_folder).resolve() in own[0].parents:
            own.append(Path(run_folder).resolve())
        if any(parent in resumed.resolve().parents for parent in own):
            return
    raise ValueError(
        f"checkpoint.dirpath={folder} holds checkpoints of another run ({', '.join(found)}), which "
        "this one would replace: leave checkpoint.dirpath out (null), name an empty folder within "
        "the run's, or continue that run with ckpt_path"
    )
