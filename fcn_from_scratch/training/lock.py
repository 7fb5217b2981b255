"""One writer for a run's folder: a lock that names the process that holds it.

The file `.lock` in the folder is locked by the system for as long as the process lives. So the lock of a process that
was killed is free, and the next process takes it over: no user has to delete anything. The file's text says who holds
the lock, for the message to everybody else.
"""

import os
import platform
import stat
import time
from contextlib import contextmanager
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import lock

LOCK = ".lock"


class FolderLock:
    """The lock of a folder that exists, held by this process from `take` to `release`."""

    def __init__(self, folder):
        self.folder, self.path = Path(folder), Path(folder) / LOCK
        self._file = self._identity = None

    def take(self):
        """Raises: InputError that names the process which holds the lock already."""
        self._file, self._identity = _taken(self.path), os.stat(self.folder)
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._file.flush()

    def release(self):
        if self._is_ours():
            self.path.unlink(missing_ok=True)  # before the lock is given up: afterwards it may be another process's
        self._file.close()

    def require_folder(self):
        """See that the folder is still the one that was locked. If it was removed, it is made and locked again.

        Returns: whether it was made again: then it is empty.
        Raises: InputError when another folder has its name now: it may be another run's.
        """
        if self._is_ours():
            return False
        if self.folder.exists():
            raise InputError(
                f"{self.folder} is another folder now: the one of this run was moved or replaced, with its checkpoint"
            )
        self.folder.mkdir(parents=True)
        self._file.close()
        self.take()
        return True

    def _is_ours(self):
        try:
            return os.path.samestat(self._identity, os.stat(self.folder))
        except OSError:
            return False


@contextmanager
def locked(folder):
    """Hold the lock of a folder that exists. Yields: the FolderLock. Raises: InputError, see FolderLock.take."""
    held = FolderLock(folder)
    held.take()
    try:
        yield held
    finally:
        held.release()


def _taken(path):
    """The lock's file, open and locked by this process."""
    while True:
        file = _opened(path)
        if not lock(file):
            file.seek(0)
            holder = file.read(200).strip() or "another process"
            file.close()
            raise InputError(f"{path.parent} is being written by {holder}: wait for its end, or pass another --out")
        if _is(file, path):
            return file
        file.close()  # its holder has just removed it


def _opened(path):
    """Open or make the lock's file. Whoever filled the folder may have put a link there: nothing is written through it.

    Raises: InputError for a link, and for what is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError:
        if path.is_symlink():
            raise InputError(_not_ours(path)) from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise InputError(_not_ours(path))
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def _not_ours(path):
    return f"{path} is a link or no regular file, so it is not the lock of a run: remove it"


def _is(file, path):
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False
