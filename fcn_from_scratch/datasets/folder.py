"""Your own data: pictures and labels as any annotation tool wrote them (docs/own_data.md)."""

import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.audit import swallowed_foreground
from fcn_from_scratch.datasets.base import PairDataset
from fcn_from_scratch.datasets.labels import IGNORE, read_labels
from fcn_from_scratch.datasets.own import naming
from fcn_from_scratch.datasets.own.bands import deepest, parse_bands, parse_range, read_picture, refuse_shallow
from fcn_from_scratch.datasets.own.class_list import Classes
from fcn_from_scratch.datasets.own.gather import gather, split_folders
from fcn_from_scratch.datasets.own.kept import Kept
from fcn_from_scratch.datasets.own.label_map import numbered
from fcn_from_scratch.datasets.own.scan import Tree
from fcn_from_scratch.datasets.own.stored import files_of, read_stored

PEEK = 16  # so many label files are read when the dataset is built, to warn early


class Folder(PairDataset):
    """Pictures and labels below `root`, found by two patterns.

    images, labels  patterns of file names, such as "{split}/{}.jpg" and "{split}/{}_mask.png" (own/patterns.py).
                 Without them `images/*` and `labels/*` with equal stems, or another known layout (own/layouts.py)
    split        what {split} stands for. Without {split}, a list `{split}.txt` is followed where there is one. Where
                 nobody divided the samples, every fifth goes to "val" (the last one where there are fewer than five),
                 the others to "train". A single pair serves as both. "all" is everything
    classes      a file of class names, names with commas between them or in a sequence, or voc, camvid, cityscapes,
                 ade20k; without it a file with a known name, such as `root/classes.txt`
    label_map    which class each stored value is: "0:0,255:1,rest:ignore"
    num_classes  the number of classes, the background included; where `classes` tells it too, they must agree
    bands, range the bands that are read, "0,1,2", and the values that become black and white, "0:4095"
    names        the classes' names where nothing else tells them: those of a checkpoint
    mask_palette colours (K, 3) of labels that were saved as colours: colour k is id k
    others       cache, cache_bytes: see PairDataset

    read_as      the map, the bands and the range as typed, for whoever compares two sets of files
    notes        sentences for the user: what was taken, divided and left out
    Raises: InputError for everything that does not fit, in one sentence.
    """

    def __init__(
        self,
        root,
        split="train",
        num_classes=None,
        mask_palette=None,
        cache=False,
        cache_bytes=256 * 2**20,
        images=None,
        labels=None,
        classes=None,
        label_map=None,
        bands=None,
        range=None,
        names=None,
    ):
        root = Path(root)
        self.notes, self._bands, self._range = [], parse_bands(bands), parse_range(range)
        chosen, found, patterns = gather(Tree(root), split, images, labels, self.notes)
        self.images, self.labels = (pattern.text for pattern in patterns)
        self._chosen, self._indexes = chosen, found.indexes
        # What the files alone do not tell: the same files read otherwise are other data.
        self.read_as = tuple(map(str, filter(None, (label_map, bands, range))))
        classes = naming.given_classes(classes, root, [root, *split_folders(found, patterns, split)], self.notes)
        self.notes += naming.doubts(classes, label_map, chosen)
        with Kept(root) as kept, _saying_what_was_taken(self, images):
            if mask_palette is None:
                self._decoder = naming.decide(found, classes, label_map, num_classes, names, kept, root)
            else:
                self._decoder = _by_palette(found, classes, num_classes, np.asarray(mask_palette), root)
            if range is None:
                _refuse_shallow(found, kept, root)
        self.palette = self._decoder.palette
        files = [(pair.name, pair.picture, pair.labels, *_masks(pair, found.indexes)) for pair in chosen]
        super().__init__(files, self._decoder.names, mask_palette=mask_palette, cache=cache, cache_bytes=cache_bytes)
        self._warn(root)

    def image_at(self, index):
        """The picture of one sample, uint8 (H, W, 3)."""
        return read_picture(self.pairs[index][1], self._bands, self._range)

    def labels_at(self, index):
        """The labels of one sample, uint8 (H, W)."""
        pair = self._chosen[index]
        if self.mask_palette is not None:
            return super().labels_at(index)
        return self._decoder.ids(read_stored(pair, self._indexes, self.classes), pair.labels)

    def _warn(self, root):
        """Read the first labels. Warn of masks of 0 and 255, whose foreground would be ignored."""
        counts = np.zeros(256, np.int64)
        for index in np.arange(min(len(self), PEEK)):
            try:
                counts += np.bincount(self.labels_at(index).ravel().astype(np.intp, copy=False), minlength=256)
            except checks.UnreadableError:
                continue  # it is told when the sample is asked for
        if counts.any() and (complaint := swallowed_foreground(counts)):
            warnings.warn(f"{root}: {complaint}", stacklevel=3)


@contextmanager
def _saying_what_was_taken(folder, images):
    """Let an error about files that nobody named name the patterns that were taken."""
    try:
        yield
    except checks.InputError as error:
        if images is not None:
            raise
        raise type(error)(f"{error} (taken: --images '{folder.images}' --labels '{folder.labels}')") from error


def _masks(pair, indexes):
    """The label files that a list names; none where pair.labels is the label file itself."""
    files = files_of(pair, indexes)
    return [] if files == [pair.labels] else files


def _refuse_shallow(found, kept, root):
    """Raises: InputError where no 16-bit picture of the set uses its range."""
    values = []
    for pair in found.pairs:
        if pair.labels:
            with suppress(checks.UnreadableError):
                values.append(kept.fact("deepest", pair.picture, deepest, _is_depth))
    refuse_shallow(max((value for value in values if value is not None), default=None), root)


def _is_depth(value):
    return value is None or (type(value) is int and 0 <= value < 2**32)


def _by_palette(found, classes, num_classes, colours, root):
    """The Decoder of labels that were saved as the colours of a palette: it knows names alone."""
    if classes is None and num_classes is None:
        num_classes = 1
        for pair in found.pairs:
            if pair.labels:
                ids = read_labels(pair.labels, palette=colours)
                num_classes = max(num_classes, 1 + int(ids[ids != IGNORE].max(initial=0)))
    return naming.settle(classes or Classes(numbered(num_classes)))
