"""A command must not write over what it reads: the results of one picture may have the name of another picture."""

import os
from contextlib import suppress

from fcn_from_scratch.checks import InputError


class Apart:
    """Called with the paths of results before they are written, it compares them with the files that are read.

    Files are compared by what they are, so that links and other spellings of a path are found too.
    Raises: InputError that names both files.
    """

    def __init__(self, inputs, remedy):
        self.known = {number: path for path in inputs if (number := _number(path)) is not None}
        self.remedy = remedy

    def __call__(self, results):
        for result in results:
            path = self.known.get(_number(result))
            if path is not None:
                what = "a file" if str(path) == str(result) else path
                raise InputError(f"the result {result} would overwrite {what} that is read: {self.remedy}")


def files_of(dataset):
    """The files that a dataset reads; none where it draws, or does not tell."""
    return [path for _, *paths in getattr(dataset, "pairs", ()) for path in paths]


def _number(path):
    """What tells a file from all others; None if there is no such file."""
    with suppress(OSError, ValueError, TypeError):
        found = os.stat(path)
        return (found.st_dev, found.st_ino) if found.st_ino else os.path.normcase(os.path.realpath(path))
    return None
