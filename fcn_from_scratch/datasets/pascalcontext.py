"""PASCAL-Context: VOC 2010's pictures with every pixel labelled. There are 459 names, and 59 of them are the classes.

The authors publish the 459 numbers as .mat files, and two sets of PNG labels: those of the 59 classes and of 33.

Source: Mottaghi et al. 2014; Long et al., section on PASCAL-Context in the paper's later versions.
"""

from pathlib import Path

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.labels import IGNORE, mat_ids
from fcn_from_scratch.datasets.lists import bare_name, read_list
from fcn_from_scratch.datasets.pascal import CLASSES as VOC_CLASSES
from fcn_from_scratch.datasets.pascal import devkits, year
from fcn_from_scratch.datasets.places import inside
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
# The smaller set in its own order (33_labels.txt of the authors' page, and class_names in the code that reads
# 33_context_labels/): VOC's 20 classes and 13 kinds of surfaces.
CLASSES_33 = (
    *VOC_CLASSES,
    *("sky", "grass", "ground", "road", "building", "tree", "water"),
    *("mountain", "wall", "floor", "track", "keyboard", "ceiling"),
)
SETS = {len(CLASSES): CLASSES, len(CLASSES_33): CLASSES_33}
MEAN_BGR = (104.007, 116.669, 122.679)
PLACES = ("pascal-context", "pascal_context", "PASCALContext", "context")
CONVERTED = "SegmentationClassContext"  # where OpenMMLab's converter writes PNG labels


class PascalContext(PairDataset):
    """JPEGImages/X.jpg of VOC2010 and trainval/X.mat (LabelMap) for each X in VOC2010/ImageSets/Main/{split}.txt.

    Instead of trainval/, the labels may be 59_context_labels/X.png of the authors, or SegmentationClassContext/X.png
    in VOC2010/ as OpenMMLab's converter writes them, with the lists in ImageSets/SegmentationContext/.

    root         the folder that holds the pictures: VOC2010/, VOCdevkit/ or what is in VOC2010. The labels are
                 trainval/ and labels.txt (the names of the 459 numbers), or one of the folders above; they lie in
                 root, root/pascal-context/, VOC2010/ or the folder above VOC2010/
    split        "train", "val" (5,105 pictures), "trainval", or a list of yours
    num_classes  60, the 59 classes and the background; or 34, the 33 classes of 33_context_labels/X.png and the
                 background. None is 60
    others       cache, cache_bytes: see PairDataset
    Every pixel of no class is 0, the background. Nothing is ignored.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = Preprocess(MEAN_BGR)
    upright = False

    def __init__(self, root, split="train", num_classes=None, cache=False, cache_bytes=256 * 2**20):
        number = len(CLASSES) if num_classes is None else num_classes
        if number not in SETS:
            known = " or ".join(f"{each} ({each - 1} and the background)" for each in SETS)
            raise checks.InputError(f"pascalcontext has {known} classes; num_classes says {num_classes}")
        root = Path(root)
        kits = [folder for folder in devkits(root) if year(folder) == "VOC2010"] or [root]
        self.folder = first_folder(
            kits, "JPEGImages", "pascalcontext reads VOC2010/JPEGImages/ and VOC2010/ImageSets/Main/"
        )
        labels, self.ids = _labels(root, self.folder, number)
        path = _list(self.folder, split, labels.name == CONVERTED)
        names = [bare_name(line.split()[0]) for line in read_list(path)]
        images, ending = (
            inside(self.folder, "JPEGImages"),
            ".png" if self.ids is None or len(self.ids) == 256 else ".mat",
        )
        pairs = [(name, images / f"{name}.jpg", labels / f"{name}{ending}") for name in names]
        super().__init__(pairs, SETS[number], cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        path = self.pairs[index][2]
        if path.suffix.lower() == ".mat":
            numbers = mat_ids(path, "LabelMap")
            checks.file_label_range(numbers, len(self.ids), None, path)
            return self.ids[numbers]
        labels = super().labels_at(index)
        return labels if self.ids is None else self.ids[labels]


def _labels(root, kit, number):
    """(folder of the labels, id of each of their numbers): the numbers are ids where the latter is None."""
    folders = [root, *(place for name in PLACES if (place := inside(root, name))), kit, kit.parent]
    kinds = ["33_context_labels"] if number == len(CLASSES_33) else ["trainval", "59_context_labels", CONVERTED]
    what = f"pascalcontext reads {kinds[0]}/*" + (".png" if len(kinds) == 1 else ".mat and labels.txt")
    for kind in kinds:
        for folder in folders:
            found = inside(folder, kind)
            if found and found.is_dir():
                return inside(found, kind) or found, _numbered(kind, folder)
    raise checks.InputError(f"{what}: there is no folder {folders[0] / kinds[0]}")


def _numbered(kind, folder):
    if kind == "trainval":
        return _ids(inside(folder, "labels.txt") or folder / "labels.txt")
    return _alphabetical() if kind == CONVERTED else None


def _alphabetical():
    """OpenMMLab numbers the classes by their names among the 459, in alphabetical order. Returns: uint8 (256,)."""
    ids = np.full(256, IGNORE, np.uint8)
    order = sorted(range(1, len(CLASSES)), key=lambda class_id: RENAMED.get(CLASSES[class_id], CLASSES[class_id]))
    ids[: len(CLASSES)] = [0, *order]
    return ids


def _list(kit, split, converted):
    """The path of a split's list."""
    folders = ("ImageSets/SegmentationContext", "ImageSets/Main") if converted else ("ImageSets/Main",)
    found = [path for folder in folders if (path := inside(kit, f"{folder}/{split}.txt"))]
    return found[0] if found else kit / folders[-1] / f"{split}.txt"


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
