"""Where a dataset's files are: folders whatever the case of their names, and the pictures in a folder.

Archives are unpacked on many systems, and people rename what they unpack. So a name that is not there is sought once
more without regard to case, and with the accents of the other spelling (see lists.py). Symbolic links are followed.
"""

from pathlib import Path, PurePosixPath

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.lists import nfc


def inside(folder, place):
    """The path `place` ("JPEGImages", "ImageSets/Main") below a folder, as the disk spells it; None if it is not there.

    Each part is taken as it is written where it exists, otherwise with any case where exactly one such name exists.
    """
    path = Path(folder)
    for part in PurePosixPath(place).parts:
        if not (path / part).exists():
            same = [each for each in entries(path) if folded(each.name) == folded(part)]
            if len(same) != 1:
                return None
            part = same[0].name
        path = path / part
    return path


def entries(folder):
    """What is in a folder, sorted by name; nothing where it cannot be read."""
    try:
        return sorted(Path(folder).iterdir())
    except OSError:
        return []


def folded(name):
    """A name without regard to the case of its letters and to the spelling of its accents."""
    return nfc(name).casefold()


def pictures(folder, endings=None):
    """The pictures of a folder as a dict, stem -> path, sorted by stem.

    The case of an ending does not matter: X.JPG is a picture. Hidden files are none, such as the "._X.jpg" that macOS
    leaves beside each file on other systems.

    endings  the endings to take, such as {".png"}; None takes those of all pictures that can be read
    Raises: InputError for two pictures of one stem.
    """
    known = extensions() if endings is None else endings
    found = {}
    for path in entries(folder):
        if path.name.startswith(".") or path.suffix.lower() not in known:
            continue
        stem = nfc(path.stem)
        if stem in found:
            raise InputError(f"{found[stem]} and {path.name} have the same stem: keep one of them")
        found[stem] = path
    return dict(sorted(found.items()))


def listed(names, found, where):
    """The paths of the names of a list, one for each.

    found  dict, stem -> path, as `pictures` returns it
    Raises: InputError that names what is missing.
    """
    stems = {folded(stem): path for stem, path in found.items()}
    missing = [name for name in names if folded(name) not in stems]
    if missing:
        raise InputError(f"{where} has no file for {few(missing)}")
    return [stems[folded(name)] for name in names]
