"""Write files so that none is ever half written."""

import os
import tempfile
from pathlib import Path


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
