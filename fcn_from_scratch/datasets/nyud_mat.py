"""NYUDv2 as its authors publish it: nyu_depth_v2_labeled.mat, one HDF5 file with all pictures, depths and labels.

The file numbers its 894 kinds of objects. The 40 classes are those of Gupta et al. 2013: their classMapping40.mat
(mapClass) gives the class of each number, from 1 to 40. Gupta's pictures, which the paper's networks were trained on,
are the window I(46:470, 41:600, :) of these (README of his code, github.com/s-gupta/rgbd), so maps of 480x640 are cut
to this window. His labels were also cleaned of double contours; these are not.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import hdf5, splits
from fcn_from_scratch.datasets.images import log_depth
from fcn_from_scratch.datasets.mat import read_mat
from fcn_from_scratch.datasets.places import entries, inside

FILE = "nyu_depth_v2_labeled.mat"
# file of the 40 classes: the variable in it. The second is that of FuseNet's code, with the same numbers
MAPS = {"classMapping40.mat": "mapClass", "nyuv2_40class_mapping.mat": "mapping"}
BELOW = (".", "benchmarkData/metadata", "metadata", "nyuv2-meta-data")  # where the maps lie
FULL, WINDOW = (480, 640), (slice(45, 470), slice(40, 600))
MILLIMETRES = 1000  # in a metre, in which this file has its depths; the other files of depth have millimetres


def class_map(folders):
    """The class of each of the 894 numbers, from a map file in one of these folders.

    Returns: int64 (895,), from 1 to 40; the number 0 and what the map leaves out are 0, void.
    Raises: InputError that says which file is missing, or that it holds other numbers.
    """
    places = [place for folder in folders for name in BELOW if (place := inside(folder, name))]
    for name, variable in MAPS.items():
        for place in places:
            if path := inside(place, name):
                return _classes(path, variable)
    raise InputError(
        f"nyud needs classMapping40.mat, which maps the 894 numbers of the labels to the 40 classes, in {folders[0]}; "
        "it is in data.tgz of Gupta et al. (benchmarkData/metadata/)"
    )


def _classes(path, variable):
    classes = read_mat(path, variable).ravel()
    if not (classes.size and np.isin(classes, np.arange(41)).all()):
        raise InputError(f"{path}: {variable} holds other numbers than the classes 0 to 40")
    return np.concatenate([[0], classes]).astype(np.int64)


def mapped(numbers, classes, path):
    """The ids 0..39 and 255 of a map of the 894 numbers. Raises: InputError for a number beyond the map of classes."""
    if not 0 <= numbers.min() <= numbers.max() < len(classes):
        raise InputError(f"{path} holds the number {numbers.max()}; the map of classes ends at {len(classes) - 1}")
    return (classes[numbers] - 1).astype(np.uint8)  # 0, void, becomes 255


class LabeledFile:
    """The pictures of nyu_depth_v2_labeled.mat by their numbers, which begin at 5001.

    path     the file
    folders  where the map of the 40 classes is sought
    Raises: InputError for a file with other arrays, and without h5py.
    """

    def __init__(self, path, folders):
        self.path = Path(path)
        with hdf5.opened(path) as file:
            shape = hdf5.array(file, "images", path).shape
        if len(shape) != 4 or shape[1] != 3:
            raise InputError(f"{path}: images has shape {shape[::-1]}; it should be rows, columns, 3, pictures")
        self.count = shape[0]
        self.classes = class_map(folders)

    def names(self, split):
        """The names of a split, by the published lists. Raises: InputError for another split, or a shorter file."""
        if split not in splits.NYUD:
            raise InputError(f"{self.path} has the splits {', '.join(splits.NYUD)}; split is {split}")
        names = [name for name in splits.NYUD[split] if int(name) - splits.NYUD_NUMBERS.start < self.count]
        if not names:
            raise InputError(f"{self.path} holds {self.count} pictures, of which none is in the split {split}")
        return names

    def image(self, name):
        """uint8 (H, W, 3) RGB."""
        return _cut(np.ascontiguousarray(self._read("images", name)))

    def log_depth(self, name):
        """float32 (H, W), ln(d) with the depth d in millimetres."""
        depth = self._read("depths", name).astype(np.float32) * MILLIMETRES
        return log_depth(_cut(depth), f"{self.path} (picture {name})")

    def labels(self, name):
        """uint8 (H, W): 0..39, or 255."""
        return mapped(_cut(self._read("labels", name)).astype(np.int64), self.classes, f"{self.path} (picture {name})")

    def _read(self, variable, name):
        index = int(name) - splits.NYUD_NUMBERS.start
        with hdf5.opened(self.path) as file:
            found = hdf5.array(file, variable, self.path)
            axes = 4 if variable == "images" else 3
            if found.ndim != axes or not 0 <= index < len(found) or 0 in found.shape:
                raise InputError(f"{self.path}: {variable} has shape {found.shape[::-1]} and no picture {name}")
            if variable != "depths" and found.dtype.kind == "f":
                raise InputError(f"{self.path}: {variable} holds {found.dtype.name}, not whole numbers")
            picture = hdf5.numbers(found, index, self.path)  # MATLAB's order: rows, columns, (channels)
        if variable == "images" and picture.dtype != np.uint8:
            raise InputError(f"{self.path}: images holds {picture.dtype.name}; pictures have 8 bits")
        return picture


def _cut(picture):
    """Gupta's window of a map of full size; other maps as they are."""
    return picture[WINDOW] if picture.shape[:2] == FULL else picture


def find_file(folders):
    """nyu_depth_v2_labeled.mat in one of these folders, or None."""
    return next((path for folder in folders for path in entries(folder) if path.name.lower() == FILE), None)
