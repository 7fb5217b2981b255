"""One writer for a run's folder: a lock that names the process that holds it.

The file `.lock` in the folder is locked by the system for as long as the process lives. So the lock of a process that
was killed is free, and the next process takes it over: no user has to delete anything. The file's text says who holds
the lock, for the message to everybody else.
"""

import os
import platform
import time
from contextlib import contextmanager
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import lock

LOCK = ".lock"


@contextmanager
def locked(folder):
    """Hold the lock of a folder that exists. Raises: InputError that names the process which holds it already."""
    path = Path(folder) / LOCK
    file = _taken(path)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock is given up: afterwards the file may be another process's
        file.close()


def _taken(path):
    """The lock's file, open and locked by this process."""
    while True:
        file = path.open("a+", encoding="utf-8", errors="replace")
        if not lock(file):
            file.seek(0)
            holder = file.read(200).strip() or "another process"
            file.close()
            raise InputError(f"{path.parent} is being written by {holder}: wait for its end, or pass another --out")
        if _is(file, path):
            return file
        file.close()  # its holder has just removed it


def _is(file, path):
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
