"""File names with wildcards: the shells of Windows leave it to the program to expand photos/*.png."""

import glob
from pathlib import Path

from fcn_from_scratch.checks import InputError


def files_matching(words):
    """The files that the words of a command line name, in order. A wildcard stands for the files that match it, sorted.

    What is no regular file is named too: its reader refuses it. A word that names a file is that file, whatever its
    letters. `**` stands for any number of folders.
    Raises: InputError for a pattern that matches no file. A word without a wildcard is returned unchanged.
    """
    return [path for word in words for path in _matching(word)]


def _matching(word):
    if not glob.has_magic(word) or Path(word).exists():
        return [word]
    found = sorted(path for path in glob.glob(word, recursive=True) if not Path(path).is_dir())
    if not found:
        raise InputError(f"no file matches {word}: check the folder and the file ending")
    return found
