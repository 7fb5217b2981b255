"""PASCAL-Context: VOC 2010's pictures with every pixel labelled. There are 459 names, and 59 of them are the classes.

Source: Mottaghi et al. 2014; Long et al., section on PASCAL-Context in the paper's later versions.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.labels import mat_ids
from fcn_from_scratch.datasets.lists import bare_name, read_list
from fcn_from_scratch.datasets.pascal import CLASSES as VOC_CLASSES
from fcn_from_scratch.datasets.pascal import devkits, year
from fcn_from_scratch.datasets.transforms import Preprocess

CLASSES = (
    *VOC_CLASSES,
    "bag",
    "bed",
    "bench",
    "book",
    "building",
    "cabinet",
    "ceiling",
    "clothes",
    "computer",
    "cup",
    "door",
    "fence",
    "floor",
    "flower",
    "food",
    "grass",
    "ground",
    "keyboard",
    "light",
    "mountain",
    "mouse",
    "curtain",
    "platform",
    "sign",
    "plate",
    "road",
    "rock",
    "shelves",
    "sidewalk",
    "sky",
    "snow",
    "bedcloth",
    "track",
    "tree",
    "truck",
    "wall",
    "water",
    "window",
    "wood",
)
RENAMED = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}  # its name among the 459
MEAN_BGR = (104.007, 116.669, 122.679)


class PascalContext(PairDataset):
    """JPEGImages/X.jpg of VOC2010 and trainval/X.mat (LabelMap) for each X in VOC2010/ImageSets/Main/{split}.txt.

    root    the folder that holds the pictures: VOC2010/, VOCdevkit/ or what is in VOC2010. The labels are trainval/
            and labels.txt (the names of the 459 numbers); they lie in root, root/pascal-context/, VOC2010/ or the
            folder above VOC2010/
    split   "train", "val" (5,105 pictures), "trainval", or a list of yours
    others  cache, cache_bytes: see PairDataset
    There are 59 classes. Every other pixel is 0, the background. Nothing is ignored.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = Preprocess(MEAN_BGR)
    upright = False

    def __init__(self, root, split="train", cache=False, cache_bytes=256 * 2**20):
        root = Path(root)
        kits = [folder for folder in devkits(root) if year(folder) == "VOC2010"] or [root]
        voc = first_folder(kits, "JPEGImages", "pascalcontext reads VOC2010/JPEGImages/ and VOC2010/ImageSets/Main/")
        context = first_folder(
            [root, root / "pascal-context", voc, voc.parent],
            "trainval",
            "pascalcontext reads trainval/*.mat and labels.txt",
        )
        self.ids = _ids(context / "labels.txt")
        lines = read_list(voc / "ImageSets" / "Main" / f"{split}.txt")
        names = [bare_name(line.split()[0]) for line in lines]
        pairs = [(name, voc / "JPEGImages" / f"{name}.jpg", context / "trainval" / f"{name}.mat") for name in names]
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        path = self.pairs[index][2]
        numbers = mat_ids(path, "LabelMap")
        checks.file_label_range(numbers, len(self.ids), None, path)
        return self.ids[numbers]


def _ids(path):
    """Read a list of lines "number: name". Returns: uint8, the class id of each number in the label files."""
    numbers = {}
    for line in read_list(path):
        number, _, name = line.partition(":")
        if not number.strip().isdecimal() or not 0 < int(number) < 2**16:
            raise checks.InputError(f"{path} has a line that is not a number, a colon and a name: {line}")
        numbers[name.replace(" ", "")] = int(number)
    ids = np.zeros(1 + max(numbers.values()), np.uint8)
    for class_id, name in enumerate(CLASSES[1:], start=1):
        name = RENAMED.get(name, name)
        if name not in numbers:
            raise checks.InputError(f"{path} has no number for the class {name}")
        ids[numbers[name]] = class_id
    return ids
