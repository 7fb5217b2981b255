"""What all datasets share. A dataset is a sequence of samples, with names and colours for its classes.

A dataset has a length, and `dataset[i]` gives a Sample. `classes` holds the classes' names, and `palette` one colour
for each id. The id 255 always means "ignore this pixel", whatever the files on disk use. The datasets that read files
derive from PairDataset: a list of (name, picture, labels) whose files are opened when a sample is asked for.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.images import read_image
from fcn_from_scratch.datasets.labels import IGNORE, read_labels
from fcn_from_scratch.datasets.lists import on_disk
from fcn_from_scratch.datasets.places import inside
from fcn_from_scratch.palette import voc_palette


class Sample(NamedTuple):
    """One labelled picture.

    image   (H, W, C), uint8 unless a channel needs more. The channels are RGB; RGB and depth; RGB and HHA (three
            channels computed from depth); or HHA alone
    labels  uint8 (H, W); or (heads, H, W) where the dataset labels each pixel in several ways
    """

    image: np.ndarray
    labels: np.ndarray
    name: str


class Dataset:
    """A sequence of Samples; a subclass sets `classes` and defines `__len__` and `__getitem__`."""

    ignore_index = IGNORE
    classes: tuple[str, ...] = ()
    palette = voc_palette()
    more_heads = ()  # further labellings of the same pixels: (name, class names)
    folder = None  # the folder that was read, of a dataset that is read from files and tells it
    preprocess = None  # how the paper's public code prepares these pictures; None where it does not
    modality = None  # one of nyud.MODALITIES where the pictures come in several kinds

    @property
    def num_classes(self):
        """Number of classes, the background included."""
        return len(self.classes)

    @property
    def heads(self):
        """The labellings as a dict, name -> class names, in the order of the label maps. Most datasets have one."""
        return {"semantic": self.classes, **dict(self.more_heads)}

    def __len__(self):
        raise NotImplementedError

    def __getitem__(self, index):
        raise NotImplementedError


class PairDataset(Dataset):
    """Pictures and their label files, read one at a time.

    A subclass that reads other kinds of files overrides image_at and labels_at. The published datasets set `upright`
    to False: their pixels are taken as they are stored. They tell in `folder` which folder was read.

    pairs         list of (name, path of the picture, path of its labels, further paths that a subclass reads)
    classes       the class names
    ignore        ids in the files that mean "ignore" besides 255
    mask_palette  colours (K, 3) of labels that were saved as colours; None refuses RGB pictures as labels
    cache         keep decoded samples in memory until `cache_bytes` are used
    A sample's arrays are read-only, since the cache may hand out the same sample again.
    Raises: InputError when there are no pairs, or when a file is missing, which it names. Reading a sample raises
    InputError for a file that is no picture, a label id out of range, or labels of another size than their picture.
    """

    upright = True  # whether the EXIF orientation is applied to pictures and labels

    def __init__(self, pairs, classes, ignore=(), mask_palette=None, cache=False, cache_bytes=256 * 2**20):
        self.pairs = on_disk(pairs)
        self.classes = tuple(classes)
        self.ignore = ignore
        self.mask_palette = mask_palette
        self._room = cache_bytes if cache else 0
        self._cache = {}
        if not self.pairs:
            raise checks.InputError("the dataset holds no pairs of a picture and its labels")
        checks.files_exist([path for _, *paths in self.pairs for path in paths])

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        index = range(len(self))[index]
        if index in self._cache:
            return self._cache[index]
        sample = self._read(index)
        # A full cache keeps what it has. Each epoch visits every sample once, so making room for the newest
        # sample would throw each one out just before it is wanted again.
        size = sample.image.nbytes + sample.labels.nbytes
        if size <= self._room:
            self._room -= size
            self._cache[index] = sample
        return sample

    def _read(self, index):
        name, image_path, labels_path = self.pairs[index][:3]
        image, labels = self.image_at(index), self.labels_at(index)
        checks.labels_fit(image, labels, image_path, labels_path)
        image.setflags(write=False)
        labels.setflags(write=False)
        return Sample(image, labels, name)

    def image_at(self, index):
        """The picture of one sample, (H, W, C)."""
        return read_image(self.pairs[index][1], self.upright)

    def labels_at(self, index):
        """The labels of one sample, uint8. The picture is not read."""
        path = self.pairs[index][2]
        return read_labels(path, self.num_classes, self.ignore, self.mask_palette, upright=self.upright)


class InMemory(Dataset):
    """Make every sample of another dataset once and keep it. This suits a small set that is visited many times."""

    def __init__(self, dataset):
        self.classes, self.palette, self.ignore_index = dataset.classes, dataset.palette, dataset.ignore_index
        self.more_heads, self.preprocess = dataset.more_heads, dataset.preprocess
        self.modality = dataset.modality
        self.samples = [dataset[i] for i in range(len(dataset))]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def first_folder(candidates, wanted, what):
    """The first candidate folder that holds the folder `wanted`, or one of several such folders.

    Raises: InputError with one sentence that names the expected path.
    """
    candidates = list(candidates)
    names = (wanted,) if isinstance(wanted, str) else wanted
    for folder in candidates:
        if any((found := inside(folder, name)) and found.is_dir() for name in names):
            return folder
    raise checks.InputError(f"{what}: there is no folder {candidates[0] / names[0]}")
