"""SIFT Flow: outdoor scenes with two labels for each pixel.

One says what the pixel shows (33 classes), the other how it lies in space (3 classes).

Source: Liu et al. 2011 (the labels), Tighe and Lazebnik 2010 (the geometry); Long et al. 2015, section 5, SIFT Flow.
Lesson 14.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import splits
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.labels import read_mat_labels
from fcn_from_scratch.datasets.lists import read_names
from fcn_from_scratch.datasets.places import entries, folded, inside, pictures
from fcn_from_scratch.datasets.transforms import Preprocess

CLASSES = (
    "awning",
    "balcony",
    "bird",
    "boat",
    "bridge",
    "building",
    "bus",
    "car",
    "cow",
    "crosswalk",
    "desert",
    "door",
    "fence",
    "field",
    "grass",
    "moon",
    "mountain",
    "person",
    "plant",
    "pole",
    "river",
    "road",
    "rock",
    "sand",
    "sea",
    "sidewalk",
    "sign",
    "sky",
    "staircase",
    "streetlight",
    "sun",
    "tree",
    "window",
)
GEOMETRIC = ("sky", "horizontal", "vertical")
MEAN_BGR = (114.578, 115.294, 108.353)
UNLABELLED = ("highway_bost181", "street_urb506")  # two pictures without labels
# SIFT Flow has no validation set: the paper trains on all pictures that are not in the test set.
SPLITS = {"train": "trainval", "val": "test"}
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
ROOTS = ("SiftFlowDataset", "siftflow", "sift-flow")
TEST_LISTS = ("test.txt", "TestSet1.txt", "Images/TestSet1.txt")  # the latter is the data's own, with paths


class SIFTFlow(PairDataset):
    """Images/S/X.jpg, SemanticLabels/S/X.mat and GeoLabels/S/X.mat, where S is the name of the one folder in each.

    root    the folder that holds Images/, SemanticLabels/ and GeoLabels/, or the one above it
    split   "test": the 200 pictures of test.txt or of the data's own TestSet1.txt, both beside Images/; without them,
            if all its pictures are there, those of the published list. Only the names in its lines count, not folders
            and endings.
            "trainval": the pictures of root/trainval.txt. Without this list it is all pictures that are neither in
            the test set nor among the two that nobody labelled, 2,486 in all.
            Commands ask for "train" and "val": "train" is "trainval", and "val" is "test"
    others  cache, cache_bytes: see PairDataset
    A sample's labels are (2, H, W): a map of 33 semantic classes and one of 3 geometric classes. The files' 0 and -1
    are read as 255, ignore. Three classes (cow, desert, moon) do not occur in the test set: see
    ConfusionMatrix.scores, absent="skip".
    Raises: InputError with the path that is missing, or when none of the test set's names is a picture: all pictures
    would be trained on. See also PairDataset.
    """

    more_heads = (("geometric", GEOMETRIC),)
    preprocess = Preprocess(MEAN_BGR)
    upright = False

    def __init__(self, root, split="train", cache=False, cache_bytes=256 * 2**20):
        root = Path(root)
        what = "siftflow reads Images/, SemanticLabels/, GeoLabels/ and test.txt"
        places = [inside(root, name) for name in ROOTS]
        self.folder = root = first_folder([root, *filter(None, places)], "SemanticLabels", what)
        kinds = [_scenes(root, kind) for kind in ("Images", "SemanticLabels", "GeoLabels")]
        pairs = []
        for name in _names(root, kinds[0], SPLITS.get(split, split)):
            image, *labels = (folder / f"{name}{'.mat' if i else '.jpg'}" for i, folder in enumerate(kinds))
            pairs.append((name, image, *labels))
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        _, _, semantic, geometric = self.pairs[index]
        maps = [
            read_mat_labels(semantic, "S", len(CLASSES), first=1),
            read_mat_labels(geometric, "S", len(GEOMETRIC), first=1, ignore=(-1,)),
        ]
        if maps[0].shape != maps[1].shape:
            sizes = " and ".join(f"{height}x{width}" for height, width in (ids.shape for ids in maps))
            raise InputError(f"{semantic} and {geometric} differ in size: {sizes} pixels")
        return np.stack(maps)


def _scenes(root, kind):
    """The folder of the files of one kind: the only folder in it, or itself where it has none."""
    folder = inside(root, kind) or root / kind
    below = [each for each in entries(folder) if each.is_dir() and not each.name.startswith(".")]
    if not below and any(each.is_file() and each.suffix.lower() in (".jpg", ".mat") for each in entries(folder)):
        return folder
    return inside(folder, SCENES) or (below[0] if len(below) == 1 else folder / SCENES)


def _names(root, images, split):
    if split == "test":
        path = next((found for name in TEST_LISTS if (found := inside(root, name))), root / TEST_LISTS[0])
        published = not path.exists() and {*pictures(images)}.issuperset(splits.SIFT_FLOW_TEST)
        return list(splits.SIFT_FLOW_TEST) if published else read_names(path)
    path = inside(root, f"{split}.txt")
    if path or split != "trainval":
        return read_names(path or root / f"{split}.txt")
    test = _names(root, images, "test")
    there = list(pictures(images))
    others = {folded(name) for name in (*test, *UNLABELLED)}
    if {folded(name) for name in test}.isdisjoint(map(folded, there)):
        raise InputError(
            f"none of the {len(test)} names of the test set, such as {test[0]}, is a picture in {images}: "
            "all pictures would be trained on"
        )
    return [name for name in there if folded(name) not in others]
