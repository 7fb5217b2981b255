"""NYUDv2: indoor scenes in colour and depth with 40 classes, in the layout of the paper's public code.

The pictures come in three kinds: colour, depth and HHA. HHA is three channels computed from the depth: horizontal
disparity, height above the ground, angle with gravity. The HHA files are only read; nothing here computes them.

Source: Gupta et al. 2013 (the classes) and 2014 (HHA); Long et al. 2015, section 5, NYUDv2. Lesson 14.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import InputError, choice
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.images import read_depth, read_hha, read_image
from fcn_from_scratch.datasets.labels import read_mat_labels
from fcn_from_scratch.datasets.lists import read_names
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
# modality: (the folders that its channels come from, how the paper's public code prepares them)
_MODALITIES = {
    "color": (("images",), _COLOUR),
    "color-d": (("images", "depth"), _COLOUR),
    "hha": (("hha",), Preprocess(HHA_MEAN, "RGB")),
    "color-hha": (("images", "hha"), _COLOUR),
}
MODALITIES = tuple(_MODALITIES)


class NYUD(PairDataset):
    """data/{images,depth,hha}/img_X.png and segmentation/img_X.mat (segmentation) for each X in {split}.txt.

    root      the folder that holds data/ and segmentation/, or the one above it (nyud/)
    split     "train", "val", "test" (381, 414 and 654 pictures), or a list of yours. "trainval" is "train" and "val"
              together when it has no list of its own
    modality  the channels of an image. "color" has 3 and "hha" has 3; "color-d" has 4, float32, the fourth of which is
              the logarithm of the depth; "color-hha" has 6
    others    cache, cache_bytes: see PairDataset
    There are 40 classes and no background. The files' 0 is read as 255, ignore, and their 1 as class 0.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    upright = False

    def __init__(self, root, split="train", modality="color", cache=False, cache_bytes=256 * 2**20):
        self.modality = choice(modality, "modality", MODALITIES)
        folders, self.preprocess = _MODALITIES[modality]
        root = Path(root)
        what = "nyud reads data/, segmentation/ and train.txt, val.txt, test.txt"
        root = first_folder([root, root / "nyud"], "segmentation", what)
        pairs = []
        for name in _names(root, split):
            first, *others = (root / "data" / folder / f"img_{name}.png" for folder in folders)
            pairs.append((name, first, root / "segmentation" / f"img_{name}.mat", *others))
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)

    def image_at(self, index):
        _, first, _, *others = self.pairs[index]
        channels = [read_hha(first) if self.modality == "hha" else read_image(first, self.upright)]
        for path in others:
            more = read_depth(path)[:, :, None] if self.modality == "color-d" else read_hha(path)
            if more.shape[:2] != channels[0].shape[:2]:
                sizes = (f"{height}x{width}" for height, width, _ in (channels[0].shape, more.shape))
                raise InputError(f"{first} and {path} differ in size: {' and '.join(sizes)} pixels")
            channels.append(more)
        return np.concatenate(channels, axis=2) if others else channels[0]

    def labels_at(self, index):
        return read_mat_labels(self.pairs[index][2], "segmentation", self.num_classes, first=1)


def _names(root, split):
    path = root / f"{split}.txt"
    if split == "trainval" and not path.is_file():
        return _names(root, "train") + _names(root, "val")
    return [name.removeprefix("img_") for name in read_names(path, (".png", ".mat"))]
