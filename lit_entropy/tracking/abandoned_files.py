"""Files of RL steps that a resumed run makes again: set aside as the rows of its table are."""

import re
from pathlib import Path

from lit_entropy.atomic import write_once

#: What the name of a file or folder ends in that was set aside.
ABANDONED = "-abandoned"
#: Folders of a run that hold files of single RL steps.
STEP_FOLDERS = ("samples", "tokens")
#: Files about every RL step of a run, which its end writes.
WHOLE_RUN = ("theorem_states.csv", "law.json", "figures/summary.png", "figures/summary.pdf")

_OF_STEP = re.compile(r"step_(\d+)(?:-\d+)?\.\w+")


def set_files_aside(run: Path, step: int, ended: bool) -> list[Path]:
    """Move what a run wrote after an RL step: files of ``samples`` to ``samples-abandoned``.

    A file is at its new place before it leaves the old one, so that a kill loses none. What is
    there already stays, as with :func:`lit_entropy.atomic.write_once`.

    Args:
        run: folder of the run.
        step: the last RL step that stays.
        ended: whether the run went on after it, so that files about the whole run are not of it.

    Returns:
        The files at their new places.
    """
    moved = [
        _move(file, run / f"{name}{ABANDONED}", file.stem)
        for name in STEP_FOLDERS
        for file in sorted((run / name).glob("step_*"))
        if (found := _OF_STEP.fullmatch(file.name)) and int(found[1]) > step
    ]
    whole = [run / name for name in WHOLE_RUN if ended and (run / name).is_file()]
    return [*moved, *(_move(file, file.parent, f"{file.stem}{ABANDONED}") for file in whole)]


def _move(file: Path, folder: Path, stem: str) -> Path:
    place = write_once(folder, stem, file.suffix, file.read_bytes(), warn=False)
    file.unlink()
    return place


def set_run_aside(folder: Path) -> Path:
    """Keep what a run left that ended before its first checkpoint, under another name.

    Args:
        folder: of the run; its name is free afterwards.
    """
    number = 1
    while (target := folder.with_name(f"{folder.name}.unfinished-{number}")).exists():
        number += 1
    return folder.rename(target)
