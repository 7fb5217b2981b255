"""Which files a pattern matches. Only folders that the pattern can match are looked into."""

import os
from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.places import folded

DEEPEST = 12  # folders below the fixed ones of a pattern with `**`


class File(NamedTuple):
    """A file that a pattern matches.

    place  its path below the root, with "/"
    words  the values of the pattern's words
    split  the canonical name of {split}, or None
    """

    path: Path
    place: str
    words: tuple
    split: str | None


class Tree:
    """The files below a root. Every folder is listed once. Hidden files and folders are left out."""

    def __init__(self, root):
        self.root = Path(root)
        self._lists = {}

    def entries(self, folder):
        """(names of the files, names of the folders) in a folder, sorted; nothing where it cannot be read."""
        folder = Path(folder)
        if folder not in self._lists:
            files, folders = [], []
            try:
                with os.scandir(folder) as found:
                    for entry in found:
                        if not entry.name.startswith("."):
                            (folders if entry.is_dir() else files).append(entry.name)
            except OSError:
                pass
            self._lists[folder] = sorted(files), sorted(folders)
        return self._lists[folder]

    def start(self, pattern):
        """The folder that a pattern's fixed folders lead to, as the disk spells it; None if it is not there."""
        return self.inside(self.root, *pattern.fixed)

    def inside(self, folder, *parts):
        """The path of folders and a file below a folder, as the disk spells it; None if it is not there.

        A part is taken as it is written where it exists, otherwise with any case where exactly one such name exists.
        """
        for part in parts:
            files, folders = self.entries(folder)
            if part not in ("/", "..") and part not in files and part not in folders:
                same = [name for name in (*files, *folders) if folded(name) == folded(part)]
                if len(same) != 1:
                    return None
                part = same[0]
            folder = folder / part
        return folder

    def find(self, pattern):
        """The Files that a pattern matches, in the order of a walk from folder to folder."""
        return list(self.iterate(pattern))

    def iterate(self, pattern):
        """As find, one by one."""
        start = self.start(pattern)
        if start is None:
            return
        place = self.place(start)
        place = "" if place == "." else f"{place}/"
        for below in self._walk(start, "", pattern.parts):
            if (words := pattern.match(below)) is not None:
                yield File(start / below, place + below, *words)

    def place(self, path):
        """A path below the root as text; the whole path of a file elsewhere."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def _walk(self, folder, below, parts, depth=0):
        files, folders = self.entries(folder)
        part, *rest = parts
        if part is None:
            yield from self._walk(folder, below, rest, depth)
            rest, folders = parts, [name for name in folders if depth < DEEPEST and not _leads_up(folder / name)]
        elif not rest:
            yield from (below + name for name in files if part.fullmatch(nfc(name)))
            return
        else:
            folders = [name for name in folders if part.fullmatch(nfc(name))]
        for name in folders:
            yield from self._walk(folder / name, f"{below}{name}/", rest, depth + 1)


def _leads_up(path):
    """Whether a link leads to a folder above it: whoever follows it walks in a circle."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
