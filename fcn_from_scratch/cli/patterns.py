"""File names with wildcards and folders: the shells of Windows leave it to the program to expand photos/*.png."""

import glob
from pathlib import Path

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.places import entries


def files_matching(words):
    """The files that the words of a command line name, in order. A wildcard stands for the files that match it, sorted.

    What is no regular file is named too: its reader refuses it. A word that names a file is that file, whatever its
    letters. A folder stands for the pictures in it. `**` stands for any number of folders.
    Raises: InputError for a pattern that matches no file, and for a folder without pictures. Any other word is returned
    unchanged.
    """
    return [path for word in words for path in _matching(word)]


def _matching(word):
    if Path(word).is_dir():
        return _pictures(word)
    if not glob.has_magic(word) or Path(word).exists():
        return [word]
    found = sorted(path for path in glob.glob(word, recursive=True) if not Path(path).is_dir())
    if not found:
        raise InputError(f"no file matches {word}: check the folder and the file ending")
    return found


def _pictures(folder):
    """The pictures in a folder, sorted; those of folders below it are not among them."""
    files = [path for path in entries(folder) if path.is_file() and not path.name.startswith(".")]
    found = [str(path) for path in files if path.suffix.lower() in extensions()]
    if not found:
        endings = sorted({path.suffix.lower() or "no extension" for path in files})
        below = [path.name for path in entries(folder) if path.is_dir() and not path.name.startswith(".")]
        there = [f"files: {few(endings)}"] * bool(endings) + [f"folders: {few(below)}"] * bool(below)
        raise InputError(f"there are no pictures in {folder}; it holds {' and '.join(there) or 'nothing'}")
    return found
