"""NYUDv2: indoor scenes in colour and depth with 40 classes.

The pictures come in three kinds: colour, depth and HHA. HHA is three channels computed from the depth: horizontal
disparity, height above the ground, angle with gravity. The HHA files are only read; nothing here computes them.

Four layouts are read: that of the paper's public code, the authors' one file (nyud_mat.py), the data of Gupta et al.,
and the trees of PNG files that later code for RGB-D pictures reads.

Source: Gupta et al. 2013 (the classes) and 2014 (HHA); Long et al. 2015, section 5, NYUDv2. Lesson 14.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import InputError, choice
from fcn_from_scratch.datasets import nyud_mat, splits
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.images import read_depth, read_hha, read_image
from fcn_from_scratch.datasets.labels import mat_ids, read_labels, read_mat_labels
from fcn_from_scratch.datasets.lists import read_names
from fcn_from_scratch.datasets.places import inside, pictures
from fcn_from_scratch.datasets.transforms import HHA_MEAN, Preprocess

CLASSES = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor mat",
    "clothes",
    "ceiling",
    "books",
    "refridgerator",
    "television",
    "paper",
    "towel",
    "shower curtain",
    "box",
    "whiteboard",
    "person",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
    "otherstructure",
    "otherfurniture",
    "otherprop",
)
MEAN_BGR = (116.190, 97.203, 92.318)
LOG_DEPTH_MEAN = 7.844  # the mean of ln(d), with the depth d as the files store it
_COLOUR = Preprocess(MEAN_BGR, depth_mean=LOG_DEPTH_MEAN)
# The folders of each kind of picture and of labels, those of the paper's public code first. Then come Gupta's data and
# the trees of PNG files. The case of the letters does not matter.
FOLDERS = {
    "images": ("data/images", "images", "colorImage", "RGB"),
    "depth": ("data/depth", "depth", "depthImage"),
    "hha": ("data/hha", "hha"),
}
SEGMENTATION, GROUND_TRUTH, PNG_LABELS = "segmentation", "benchmarkData/groundTruth", "Label"
LABELS = (SEGMENTATION, GROUND_TRUTH, "groundTruth", PNG_LABELS, "labels")
ROOTS = ("nyud", "NYUDepthv2", "nyu_depth_v2", "nyudv2", "nyuv2")
# modality: (the kinds of pictures that its channels come from, how the paper's public code prepares them)
_MODALITIES = {
    "color": (("images",), _COLOUR),
    "color-d": (("images", "depth"), _COLOUR),
    "hha": (("hha",), Preprocess(HHA_MEAN, "RGB")),
    "color-hha": (("images", "hha"), _COLOUR),
}
MODALITIES = tuple(_MODALITIES)


def published_input(modality):
    """How the paper's public code prepares the pictures of a modality: a Preprocess."""
    return _MODALITIES[choice(modality, "modality", MODALITIES)][1]


class NYUD(PairDataset):
    """data/{images,depth,hha}/img_X.png and segmentation/img_X.mat (segmentation) for each X in {split}.txt.

    Three further layouts are read (docs/datasets.md): nyu_depth_v2_labeled.mat with classMapping40.mat beside it;
    benchmarkData/groundTruth/img_X.mat with colorImage/img_X.png; Label/X.png with RGB/X.png and HHA/X.png, whose
    labels count from 1, 0 being void.

    root      the folder that holds data/ and segmentation/, or the one above it (nyud/)
    split     "train", "val", "test" (381, 414 and 654 pictures), or a list of yours. "trainval" is "train" and "val"
              together when it has no list of its own. Without lists, if their pictures are there, the published ones
    modality  the channels of an image. "color" has 3 and "hha" has 3; "color-d" has 4, float32, the fourth of which is
              the logarithm of the depth; "color-hha" has 6
    others    cache, cache_bytes: see PairDataset
    There are 40 classes and no background. The files' 0 is read as 255, ignore, and their 1 as class 0.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    upright = False

    def __init__(self, root, split="train", modality="color", cache=False, cache_bytes=256 * 2**20):
        self.modality = choice(modality, "modality", MODALITIES)
        kinds, self.preprocess = _MODALITIES[modality]
        roots = [Path(root), *(place for name in ROOTS if (place := inside(root, name)))]
        file = nyud_mat.find_file(roots)
        if file is not None and not any(inside(folder, SEGMENTATION) for folder in roots):
            pairs = self._open_file(file, roots, split)
        else:
            pairs = self._open_tree(roots, split, kinds)
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)

    def _open_file(self, path, roots, split):
        if "hha" in self.modality:
            raise InputError(f"{path} holds no HHA: it must be computed from the depth, by the code of Gupta et al.")
        self.folder = path.parent
        self._file = nyud_mat.LabeledFile(path, [path.parent, *roots])
        own = inside(path.parent, f"{split}.txt")
        names = [_bare(name) for name in read_names(own)] if own else self._file.names(split)
        return [(name, path, path) for name in names]

    def _open_tree(self, roots, split, kinds):
        self._file = None
        what = "nyud reads data/, segmentation/ and train.txt, val.txt, test.txt"
        # The layout decides before the folder does: beside nyud/ there may be a folder labels/ of other data.
        name = next((name for name in LABELS if any(inside(folder, name) for folder in roots)), SEGMENTATION)
        self.folder = root = first_folder(roots, name, what)
        labels = inside(root, name)
        self._classes = nyud_mat.class_map([root]) if labels.name.lower() == "groundtruth" else None
        found = [_files(root, kind) for kind in kinds]
        ending = ".mat" if labels.name.lower() in (SEGMENTATION, "groundtruth") else ".png"
        truth = pictures(labels, {ending})
        prefix = "img_" if any(stem.startswith("img_") for stem in truth) or ending == ".mat" else ""
        pairs = []
        for name in _names(root, split, found[0][1], ending):
            stem = f"{prefix}{name}"
            first, *others = (files.get(name, folder / f"{stem}.png") for folder, files in found)
            pairs.append((name, first, truth.get(stem, labels / f"{stem}{ending}"), *others))
        return pairs

    def image_at(self, index):
        name, first, _, *others = self.pairs[index]
        if self._file:
            colour = self._file.image(name)
            more = [self._file.log_depth(name)[:, :, None]] if self.modality == "color-d" else []
            return np.concatenate([colour, *more], axis=2)
        channels = [read_hha(first) if self.modality == "hha" else read_image(first, self.upright)]
        for path in others:
            more = read_depth(path)[:, :, None] if self.modality == "color-d" else read_hha(path)
            if more.shape[:2] != channels[0].shape[:2]:
                sizes = (f"{height}x{width}" for height, width, _ in (channels[0].shape, more.shape))
                raise InputError(f"{first} and {path} differ in size: {' and '.join(sizes)} pixels")
            channels.append(more)
        return np.concatenate(channels, axis=2) if others else channels[0]

    def labels_at(self, index):
        name, _, path, *_ = self.pairs[index]
        if self._file:
            return self._file.labels(name)
        if self._classes is not None:
            return nyud_mat.mapped(mat_ids(path, "groundTruth", "SegmentationClass"), self._classes, path)
        if path.suffix.lower() != ".mat":
            return read_labels(path, self.num_classes, first=1, upright=self.upright)
        return read_mat_labels(path, "segmentation", self.num_classes, first=1)


def _files(root, kind):
    """(folder, files by name) of one kind of pictures."""
    folder = next((place for name in FOLDERS[kind] if (place := inside(root, name))), root / FOLDERS[kind][0])
    return folder, {_bare(stem): path for stem, path in pictures(folder).items()}


def _bare(name):
    """img_5001 -> 5001"""
    return name.removeprefix("img_")


def _names(root, split, there, ending):
    path = inside(root, f"{split}.txt")
    if path is None and there.keys() >= set(splits.NYUD.get(split, ())) and split in splits.NYUD:
        return list(splits.NYUD[split])
    if path is None and split == "trainval":
        if ending == ".png" and inside(root, "val.txt") is None:
            return _names(root, "train", there, ending)  # the train.txt of these trees is trainval
        return _names(root, "train", there, ending) + _names(root, "val", there, ending)
    return [_bare(name) for name in read_names(path or root / f"{split}.txt")]
