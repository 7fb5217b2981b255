"""PASCAL VOC's segmentation task, in the layout of its development kit."""

from pathlib import PureWindowsPath

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.lists import bare_name, read_list
from fcn_from_scratch.datasets.pascal import CLASSES, devkits, seg11valid, year
from fcn_from_scratch.datasets.places import inside
from fcn_from_scratch.datasets.transforms import CAFFE
from fcn_from_scratch.palette import voc_palette
from fcn_from_scratch.resources import SAMPLE

SEG11VALID = "seg11valid"
LABELS, MORE_LABELS = "SegmentationClass", "SegmentationClassAug"  # the latter are VOC's and SBD's labels together
LISTS = ("ImageSets/Segmentation", "ImageSets/SegmentationAug", "list")


class VOC(PairDataset):
    """JPEGImages/X.jpg and SegmentationClass/X.png for each X in ImageSets/Segmentation/{split}.txt.

    root    the folder that holds these three, or one above it (VOCdevkit/, TrainVal/, VOCtrainval_11-May-2012/ or
            their parent). Of several years the last is taken. None is the project's own small sample
    split   the name of a list in ImageSets/Segmentation: "train", "val", "trainval" or one of yours. The paper
            validates on "seg11valid". Where there is no such list, it is made as VOC 2011's val without SBD's train
            (pascal.py). The lists "train_aug" and "trainaug" mean the labels in SegmentationClassAug, and so does
            any list whose lines name them
    sbd     where SBD is, for "seg11valid"; None looks around root
    others  cache, cache_bytes: see PairDataset
    There are 21 classes with the background. 255 is the border around the objects and is ignored. Labels that were
    saved with another palette, or as colours, are read by VOC's colours.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = CAFFE
    upright = False

    def __init__(self, root=None, split="train", sbd=None, cache=False, cache_bytes=256 * 2**20):
        if root is None and not SAMPLE.is_dir():
            raise InputError("voc needs a root: the folder with JPEGImages/ (the drawn sample is not installed)")
        self.folder = _kit(SAMPLE if root is None else root, split)
        path = _list(self.folder, split)
        if split == SEG11VALID and not path.exists():
            lines = seg11valid(self.folder, sbd)
        else:
            lines = read_list(path)
        pairs = [_pair(self.folder, line.split(), split) for line in lines]
        super().__init__(pairs, CLASSES, mask_palette=voc_palette(), cache=cache, cache_bytes=cache_bytes)


def _kit(root, split):
    """The folder of a year."""
    folders = devkits(root)
    if split == SEG11VALID:  # prefer the labels of 2011 where there are several years
        folders.sort(key=lambda folder: year(folder) != "VOC2011")
    what = "voc reads JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/"
    return first_folder(folders, (LABELS, MORE_LABELS), what)


def _list(kit, split):
    """The path of a split's list. Of train_aug and trainaug people have either."""
    names = [split, *({"train_aug": "trainaug", "trainaug": "train_aug"}.get(split, split),)]
    found = [path for name in names for place in LISTS if (path := inside(kit, f"{place}/{name}.txt"))]
    return found[0] if found else (inside(kit, LISTS[0]) or kit / LISTS[0]) / f"{split}.txt"


def _pair(kit, words, split):
    """(name, picture, labels) of a line: X, or the paths of a picture and of its labels."""
    name = bare_name(words[0])
    named = PureWindowsPath(words[1]).parent.name if len(words) > 1 else ""
    wanted = MORE_LABELS if "aug" in split.lower() else LABELS
    named = "" if named == ".." else named  # a list leads to no folder outside the kit
    folder = (named and inside(kit, named)) or inside(kit, wanted) or inside(kit, MORE_LABELS) or kit / LABELS
    pictures = inside(kit, "JPEGImages") or kit / "JPEGImages"
    return name, pictures / f"{name}.jpg", folder / f"{name}.png"
