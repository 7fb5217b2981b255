"""Read regular files only, and write files so that none is ever half written."""

import errno
import os
import stat
import tempfile
from pathlib import Path

from fcn_from_scratch.checks import InputError

_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def open_regular(path):
    """Open a regular file, or a link to one, to read its bytes. Returns: a binary file.

    A FIFO could make a program wait for ever, and a device could send bytes without end or do something when it is
    opened. So the path is examined before it is opened, and once more afterwards, in case it was replaced meanwhile.
    Raises: InputError for a FIFO, a device or a socket; OSError as open does, with the name of the file.
    """
    require_regular(path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path):
    """Raises: InputError if a path leads to a FIFO, a device or a socket; OSError if it is missing or a folder."""
    _check_mode(path, os.stat(path).st_mode)


def _check_mode(path, mode):
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise InputError(f"{path} is {kind}; only regular files are read")


def read_bytes(path, most):
    """The bytes of a regular file that has at most `most` of them.

    Raises: InputError for a larger file; see also open_regular.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(min(size, most) + 1)  # read allocates as many bytes as it is asked for
    if len(data) > most:
        raise InputError(f"{path} is larger than {most >> 20} MiB, the most that is read of such a file")
    return data


def write_atomically(path, write):
    """Call write(file) on a temporary binary file beside `path`, then rename it to `path`.

    A process that is interrupted or killed leaves either the old file or the new one. Missing folders are made.
    Raises: OSError when the folder cannot be written to, and every error that `write` raises. `path` is then unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o600 | 0o666 & ~_umask())  # in a browser the umask forbids everything, even to read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_leftovers(path):
    """Remove the temporary files left by killed writers of `path`. Nobody else may be writing it at the same time."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        leftover.unlink(missing_ok=True)


def _umask():
    """The process's umask. Temporary files are private; with it our files become as readable as the user's others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
