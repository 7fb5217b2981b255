"""What the three readers of PASCAL VOC's pictures share: the classes, the folders and the list seg11valid."""

import re
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import splits
from fcn_from_scratch.datasets.base import first_folder
from fcn_from_scratch.datasets.lists import read_names
from fcn_from_scratch.datasets.places import entries, inside

KIT = re.compile(r"voc20\d\d", re.IGNORECASE)
# The folders that may lie around the folder of a year: those of VOC's archives, of unpacking programs and of people.
AROUND = re.compile(r"vocdevkit|trainval|voctrainval.*|voc|pascal|pascal[-_ ]?voc", re.IGNORECASE)
SBD_PLACES = ("benchmark_RELEASE/dataset", "dataset")
SBD_NAMES = ("SBD", "sbdd", "VOC_aug", "VOCaug")  # what its archive unpacks to, and what people call it
DEPTH = 4  # folders around a year: VOCtrainval_25-May-2011/TrainVal/VOCdevkit/VOC2011 has three
CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def devkits(root):
    """`root`, then the folders of VOC's years below it, the last year first. VOC's archives unpack to these places.

    A year's folder is named VOC20NN and nothing else: VOC2012_orig is a copy of somebody's.
    """
    found = list(_years(Path(root), DEPTH))
    return [Path(root), *sorted(found, key=lambda folder: year(folder), reverse=True)]


def year(folder):
    """VOC2012, if this is the name of a year's folder in capitals or small letters, else ""."""
    return folder.name.upper() if KIT.fullmatch(folder.name) else ""


def _years(folder, depth):
    """The folders of years in a folder, those nearest to it first."""
    around = [each for each in entries(folder) if AROUND.fullmatch(each.name)] if depth else ()
    yield from (each for each in entries(folder) if year(each) and each.is_dir())
    for each in around:
        yield from _years(each, depth - 1)


def sbd_folder(root):
    """SBD's folder with img/, cls/ and the lists: `root` itself, or one of the places below it that people have.

    Raises: InputError with the path that is missing.
    """
    return first_folder(sbd_places(root), "cls", "sbd reads img/*.jpg, cls/*.mat or *.png and train.txt, val.txt")


def sbd_places(root):
    """`root`, and the folders below it in which SBD may lie."""
    within = [f"{name}/{place}" for name in SBD_NAMES for place in SBD_PLACES]
    places = (*SBD_PLACES, *SBD_NAMES, *within)
    return [Path(root), *(found for place in places if (found := inside(root, place)))]


def seg11valid(root, sbd=None):
    """The names on VOC 2011's validation list that are not on SBD's training list, in the order of VOC's list.

    The paper's networks are trained on SBD and have seen the names that are left out. When both lists are complete,
    736 names remain. Without the lists it is the published list, if `root` has all its pictures.

    root  a folder of VOC; VOC2011's list is looked for there and in up to three folders above it
    sbd   SBD's folder or one above it; None looks in the same places
    Raises: InputError that says which list is missing, or that the two have no name in common.
    """
    root = Path(root).absolute()
    ways = (root, root.resolve())  # a link may lie elsewhere than the folder
    above = list(dict.fromkeys(place for way in ways for place in (way, *way.parents[:3])))
    try:
        val = read_names(_val_2011(above, root))
        path = (_find_sbd(above) if sbd is None else _told_sbd(Path(sbd))) / "train.txt"
    except InputError:
        if sbd is None and _complete(root):
            return list(splits.SEG11VALID)
        raise
    taken = set(read_names(path))
    if taken.isdisjoint(val):
        raise InputError(
            f"seg11valid: none of the {len(val)} names of VOC 2011's val is in {path}, but SBD trains on many of them; "
            f"that list begins with {read_names(path)[0]}, and val with {val[0]}"
        )
    return [name for name in val if name not in taken]


def _val_2011(above, root):
    kits = [folder for place in above for folder in devkits(place) if year(folder) == "VOC2011"]
    lists = [path for kit in kits if (path := inside(kit, "ImageSets/Segmentation/val.txt"))]
    if not lists:
        raise InputError(f"seg11valid needs VOC2011/ImageSets/Segmentation/val.txt, which is not at {root} or above")
    return lists[0]


def _complete(root):
    """Whether a folder of VOC has the labels of all pictures of the published list."""
    folder = inside(root, "SegmentationClass")
    there = {path.stem for path in entries(folder)} if folder else set()
    return there.issuperset(splits.SEG11VALID)


def _told_sbd(folder):
    """SBD's folder, or any folder with its list: nothing but the list is read."""
    return folder if (folder / "train.txt").is_file() else _find_sbd([folder])


def _find_sbd(places):
    for place in places:
        try:
            return sbd_folder(place)
        except InputError:
            continue
    raise InputError(
        "seg11valid needs benchmark_RELEASE/dataset/train.txt, SBD's training list, which is not at "
        f"{places[0]}{' or above; --sbd DIR tells where SBD is' if len(places) > 1 else ''}"
    )
