"""Read regular files only, write files so that none is ever half written, and try out a folder before long work."""

import errno
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from fcn_from_scratch.checks import InputError

try:
    import fcntl
except ImportError:  # Windows, and Python in a browser
    fcntl = None

NO_ROOM = {getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name)}
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

    A process that is interrupted or killed leaves either the old file or the new one; so does a machine that loses its
    power, since the file and then its folder are written through to the disk. Missing folders are made. If `path` is a
    link, the file to which it leads is written, and the link stays.
    Raises: InputError if `path` is a FIFO, a device or a socket. OSError that names `path` when the folder cannot be
    written to or the disk is full, and every error that `write` raises. `path` is then unchanged.
    """
    path = target(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = _own_temporary(path)
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
        sync_folder(path.parent)


def target(path):
    """Where a file of this name is written: behind links, if there are any. Returns: Path.

    Raises: InputError for what is there and is no regular file; OSError for a folder and for links in a circle.
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):  # the latter is found, and named, when the folder is made
        return path
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise InputError(f"{path} is {kind}; results are written to regular files only")
    return path


@contextmanager
def naming(path):
    """Give an OSError that names no file the name of `path`: a full disk is met by a write, which knows no name."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or str(error.filename).endswith(".part")
        if unnamed and error.errno is not None:  # without a number it is not the system's, and says all by itself
            error.filename = str(path)
        raise


def sync_folder(folder):
    """Write a folder's entries through to the disk. Without it, a rename may be lost when the power fails."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder):
    """Remove the temporary files that killed writers left in `folder`. A file that is being written stays."""
    for leftover in Path(folder).glob(".*.part"):
        with suppress(OSError, InputError), open_regular(leftover) as file:
            if lock(file):
                leftover.unlink(missing_ok=True)


def lock(file, wait=False):
    """Lock an open file until it is closed or its process ends. Returns: whether this process has the lock now.

    Where the system or the file system has no locks, everybody gets one.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def reserve(folder, size, count=1):
    """Check that `count` new files of `size` bytes find room in `folder`. Nothing is left there.

    Raises: OSError that names the folder: it cannot be written to, or its disk is full.
    """
    folder, descriptors = Path(folder), []
    with naming(folder):
        try:
            for _ in range(count):
                descriptor, temporary = _own_temporary(folder / "room")
                descriptors.append(descriptor)
                try:
                    _take(descriptor, size)
                finally:
                    Path(temporary).unlink()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _take(descriptor, size):
    """Let an open file take `size` bytes of the disk."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
    while size > 0:
        size -= os.write(descriptor, bytes(min(1 << 20, size)))  # a part of it where the disk ends; the next one raises


def _own_temporary(path):
    """(descriptor, name) of a new file beside `path`, locked by this process, so that nobody sweeps it away."""
    while True:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        lock(descriptor, wait=True)
        if fcntl is None or os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # swept between its making and its lock


def _umask():
    """The process's umask. Temporary files are private; with it our files become as readable as the user's others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
