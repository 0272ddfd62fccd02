"""One owner of a run's folder at a time: two would interleave their rows and checkpoints."""

import contextlib
import errno
import fcntl
import os
import socket
import warnings
import weakref
from pathlib import Path
from typing import IO

LOCK_FILE = ".lock"
#: The file is made where it is missing, and a link in its place is not followed.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class RunLock:
    """Owns a run's folder until :meth:`release`, or until the process ends, however it ends.

    The lock is the operating system's (``flock``, which network file systems of Linux pass on), so
    that a killed process leaves none behind; workers that it had forked hold none. It is on a
    file, which names the owner, and on the folder itself, so that who deletes the file does not
    make room for a second owner.

    Args:
        folder: that of a run, or of many; it exists.
        owns: False on ranks other than zero, which write nothing and own nothing.

    Raises:
        ValueError: another process owns it (names process and host), or a link has the name of
            the file.
    """

    def __init__(self, folder: Path, owns: bool = True) -> None:
        self._path = folder / LOCK_FILE
        self._file: IO[str] | None = None
        self._folder = -1  # its descriptor while it is owned
        if owns:
            self._file = self._own()
            _OWNED.add(self)

    def release(self) -> None:
        """Let others own the folder; a second call does nothing."""
        if self._file is None:
            return
        # while it is owned: see _own; one that cannot be removed names an owner without a lock
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close what holds the lock; where another process has it open as well, it stays locked."""
        file, self._file = self._file, None
        if file is not None:
            os.close(self._folder)
            file.close()

    def _own(self) -> IO[str]:
        while True:
            file = self._open()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(self._refusal(file)) from None
            except OSError as error:
                warnings.warn(
                    f"{self._path.parent} is on a file system without locks ({error.strerror}): "
                    "start no second process for this run, which would mix its rows",
                    stacklevel=3,
                )
            # the owner before may have removed the file after this process had opened it
            if self._is_named(file):
                self._own_folder(file)
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
                return file
            file.close()

    def _open(self) -> IO[str]:
        try:
            return os.fdopen(os.open(self._path, _FLAGS, 0o666), "a+", encoding="utf-8")
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ValueError(
                f"{self._path} is a link, and what it leads to would be overwritten: remove it"
            ) from None

    def _is_named(self, file: IO[str]) -> bool:
        """Whether the name of the lock is still that of an open file."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.lstat())
        except FileNotFoundError:
            return False

    def _own_folder(self, file: IO[str]) -> None:
        """The second lock; NFS has none of folders, the first one counts there."""
        self._folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._folder)
            self._path.unlink(missing_ok=True)  # in place of one that was deleted; it names nobody
            raise ValueError(self._refusal(file)) from None
        except OSError:
            pass  # said of the file, or it is NFS

    def _refusal(self, file: IO[str]) -> str:
        with file:
            file.seek(0)
            owner = file.read().strip() or "another process"
        return (
            f"{self._path.parent} is in use by {owner}: a second process would mix its rows and "
            "checkpoints. Wait until it ends, or end it"
        )


#: Locks of this process.
_OWNED: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_all() -> None:
    """In a fork, which may outlive the owner and owns nothing."""
    for lock in list(_OWNED):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
