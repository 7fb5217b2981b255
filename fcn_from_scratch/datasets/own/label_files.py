"""Which reader reads which label file: pictures, .npy arrays and labelme's .json."""

from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.own.label_pictures import read_label_picture
from fcn_from_scratch.datasets.own.labelme import read_labelme
from fcn_from_scratch.datasets.own.npy import read_npy

_READERS = {".npy": read_npy, ".json": read_labelme}


def endings():
    """The endings of the label files of one picture, such as ".png"."""
    return extensions() | _READERS.keys()


def reader(path):
    """The function that reads a label file of one picture, chosen by its ending.

    Returns: function(path, picture_path, size) -> Raw; size is the picture's (H, W) as it is shown.
    Raises: InputError for an ending that none reads.
    """
    ending = Path(path).suffix.lower()
    if ending in _READERS:
        return _READERS[ending]
    if ending in extensions():
        return read_label_picture
    raise InputError(f"{path} is no label file: labels are pictures, .npy arrays or labelme's .json")
