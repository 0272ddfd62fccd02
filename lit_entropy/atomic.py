"""Files that hold either their old or their new content, whatever kills the process or the disk."""

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = ".tmp-"


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A binary file that replaces ``target`` in one step when the block ends without an error.

    It is written beside the target, hence on the same filesystem, and forced to disk before the
    rename. Every error passes through, with a note that names the target; a link that has the name
    of the temporary file is one.
    """
    temporary = target.with_name(f"{target.name}{_TEMPORARY}{os.getpid()}")
    try:
        with _new_file(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        error.add_note(f"while writing {target}, which keeps its former content, if it had any")
        raise
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # makes the rename itself survive a power cut
    finally:
        os.close(directory)


def _new_file(path: Path) -> BinaryIO:
    """A file to be written whole; a link in its place is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def write_once(folder: Path, stem: str, suffix: str, content: bytes, warn: bool = True) -> Path:
    """Write ``<stem><suffix>``, or ``<stem>-2<suffix>`` and so on where it holds something else.

    Args:
        folder: made where it does not exist.
        stem: name of the file without its ending.
        suffix: the ending, with its dot.
        content: of the file.
        warn: whether a warning names a file that is not the first.

    Returns:
        The file that holds the content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, count = folder / f"{stem}{suffix}", 1
    while path.exists():
        if path.read_bytes() == content:
            return path
        count += 1
        path = folder / f"{stem}-{count}{suffix}"
    if count > 1 and warn:
        message = f"{stem}{suffix} in {folder} holds something else; writing {path.name}"
        warnings.warn(message, stacklevel=2)
    with atomic_write(path) as file:
        file.write(content)
    return path


def sweep_unfinished(folder: Path) -> None:
    """Remove temporary files and folders of processes that were killed while writing there."""
    for leftover in folder.glob(f"*{_TEMPORARY}*"):
        owner = leftover.name.rpartition(_TEMPORARY)[2]
        if owner.isdigit() and not _alive(int(owner)):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives and belongs to another user
        return True
    return True


def replace_path(source: Path, target: Path) -> None:
    """Give the file or folder ``source`` the name ``target``; what had it is removed afterwards.

    A kill between the two renames leaves the former one beside it, named ``.old``.
    """
    former = target.with_name(f"{target.name}.old")
    shutil.rmtree(former, ignore_errors=True)
    if target.is_dir():
        os.rename(target, former)
    elif target.exists():
        target.unlink()
    os.rename(source, target)
    shutil.rmtree(former, ignore_errors=True)


def copy_path(source: Path, target: Path) -> None:
    """Write a second copy of a file or folder; ``target`` is whole at any time."""
    if not source.is_dir() and not target.is_dir():
        with atomic_write(target) as file, open(source, "rb") as original:
            shutil.copyfileobj(original, file)
        return
    new = target.with_name(f"{target.name}{_TEMPORARY}{os.getpid()}")  # swept after a kill
    if source.is_dir():
        shutil.copytree(source, new)
    else:
        with open(source, "rb") as original, _new_file(new) as copy:
            shutil.copyfileobj(original, copy)
    replace_path(new, target)


def keep_path(source: Path, kept: Path) -> None:
    """Give what a file or folder holds now a second name, which it has when the first is replaced.

    By links, which take no space as long as both are there; a copy where there are none.

    Args:
        source: a file, or a folder of files, that others replace and never write into.
        kept: its second name; what had it is gone.
    """
    if kept.exists() and not source.is_dir() and kept.samefile(source):
        return
    new = kept.with_name(f"{kept.name}{_TEMPORARY}{os.getpid()}")
    try:
        if source.is_dir():
            shutil.copytree(source, new, copy_function=os.link)
        else:
            os.link(source, new)
    except (OSError, shutil.Error):  # a file system without links
        shutil.rmtree(new, ignore_errors=True)
        copy_path(source, kept)
        return
    replace_path(new, kept)
