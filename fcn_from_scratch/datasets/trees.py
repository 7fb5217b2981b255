"""The trees of folders and files that the readers look for, and how a folder on disk differs from them.

A place in a tree is written with X for the name of a picture: "JPEGImages/X.jpg". The letters' case does not matter.
"""

from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.checks import few
from fcn_from_scratch.datasets import camvid, nyud, nyud_mat, pascal, pascalcontext, siftflow
from fcn_from_scratch.datasets.places import entries, inside

_SCENES = siftflow.SCENES


class Tree(NamedTuple):
    """One layout of a dataset."""

    what: str
    places: tuple


TREES = {
    "voc": (
        Tree(
            "VOC's development kit, such as VOCdevkit/VOC2012/",
            (
                *("JPEGImages/X.jpg", "SegmentationClass/X.png"),
                *("ImageSets/Segmentation/train.txt", "ImageSets/Segmentation/val.txt"),
            ),
        ),
        Tree(
            "the kit with SBD's labels added",
            ("JPEGImages/X.jpg", "SegmentationClassAug/X.png", "ImageSets/Segmentation/train_aug.txt"),
        ),
    ),
    "sbd": (
        Tree("SBD's archive, benchmark_RELEASE/dataset/", ("img/X.jpg", "cls/X.mat", "train.txt", "val.txt")),
        Tree("SBD with labels saved as PNG", ("img/X.jpg", "cls/X.png", "train.txt", "val.txt")),
    ),
    "pascalcontext": (
        Tree(
            "the authors' 459 numbers",
            ("JPEGImages/X.jpg", "ImageSets/Main/train.txt", "ImageSets/Main/val.txt", "trainval/X.mat", "labels.txt"),
        ),
        Tree(
            "the authors' 59 classes",
            ("JPEGImages/X.jpg", "ImageSets/Main/train.txt", "ImageSets/Main/val.txt", "59_context_labels/X.png"),
        ),
        Tree(
            "the authors' 33 classes (--num-classes 34)",
            ("JPEGImages/X.jpg", "ImageSets/Main/train.txt", "ImageSets/Main/val.txt", "33_context_labels/X.png"),
        ),
        Tree(
            "the tree of OpenMMLab's converter",
            (
                *("JPEGImages/X.jpg", "SegmentationClassContext/X.png"),
                *("ImageSets/SegmentationContext/train.txt", "ImageSets/SegmentationContext/val.txt"),
            ),
        ),
    ),
    "nyud": (
        Tree(
            "the tree of the paper's public code",
            (
                *("data/images/img_X.png", "data/depth/img_X.png", "data/hha/img_X.png", "segmentation/img_X.mat"),
                *("train.txt", "val.txt", "test.txt"),
            ),
        ),
        Tree("the authors' file", (nyud_mat.FILE, "classMapping40.mat")),
        Tree(
            "the data of Gupta et al.",
            (
                *("colorImage/img_X.png", "benchmarkData/groundTruth/img_X.mat"),
                "benchmarkData/metadata/classMapping40.mat",
            ),
        ),
        Tree("PNG files", ("RGB/X.png", "HHA/X.png", "Label/X.png", "train.txt", "test.txt")),
    ),
    "siftflow": (
        Tree(
            "the authors' archive",
            (
                *(f"Images/{_SCENES}/X.jpg", f"SemanticLabels/{_SCENES}/X.mat", f"GeoLabels/{_SCENES}/X.mat"),
                "test.txt",
            ),
        ),
        Tree(
            "the authors' archive with its own list",
            (
                *(f"Images/{_SCENES}/X.jpg", f"SemanticLabels/{_SCENES}/X.mat", f"GeoLabels/{_SCENES}/X.mat"),
                "TestSet1.txt",
            ),
        ),
    ),
    "camvid": (
        Tree(
            "CamVid as laid out for SegNet",
            (
                *("train/X.png", "trainannot/X.png", "val/X.png", "valannot/X.png"),
                *("test/X.png", "testannot/X.png"),
            ),
        ),
        Tree("the authors' stills", (f"{camvid.STILLS[0]}/X.png", f"{camvid.STILL_LABELS[0]}/X_L.png")),
    ),
    "folder": (Tree("your own pictures", ("images/X.png", "labels/X.png")),),
}


class Part(NamedTuple):
    """A place of a tree, and what is there."""

    place: str
    found: bool
    what: str


def nearest(name, root):
    """(tree, its parts) of the layout of a dataset that a folder resembles most; None for a dataset without trees."""
    if name not in TREES:
        return None
    tops = _tops(name, Path(root))
    compared = []
    for tree in TREES[name]:
        fullest = sorted(tops, key=lambda top, tree=tree: sum(len(_way(top, place)[1]) for place in tree.places))
        compared.append((tree, [_part(place, fullest) for place in tree.places]))
    return max(compared, key=lambda pair: (sum(part.found for part in pair[1]) / len(pair[1]), len(pair[1])))


def _tops(name, root):
    """The folders below which the places are sought: the root, and those below it that the readers know."""
    if name == "voc":
        return pascal.devkits(root)
    if name == "sbd":
        return pascal.sbd_places(root)
    if name == "pascalcontext":
        kits = [kit for kit in pascal.devkits(root) if pascal.year(kit) == "VOC2010"]
        return [*kits, root, *_below(root, pascalcontext.PLACES), *(kit.parent for kit in kits)]
    known = {"nyud": nyud.ROOTS, "siftflow": siftflow.ROOTS, "camvid": camvid.ROOTS}
    return [root, *_below(root, known.get(name, ()))]


def _below(root, names):
    return [found for name in names if (found := inside(root, name))]


def _part(place, tops):
    """What is at a place: below the first of `tops` that has it, or that has the longest beginning of it."""
    folder, _, file = place.rpartition("/")
    pattern = "X" in Path(file).stem
    ways = [_way(top, folder if pattern else place) for top in tops]
    if not pattern:
        found = [path for path, missing in ways if not missing]
        return Part(place, True, str(found[0])) if found else _lacking(place, ways)
    ending, suffix = Path(file).suffix, Path(file).stem.rpartition("X")[2]
    for path, missing in ways:
        number = 0 if missing else sum(_fits(each, ending, suffix) for each in entries(path))
        if number:
            return Part(place, True, f"{number:,} file{'s' * (number != 1)} in {path}")
    return _lacking(place, ways)


def _fits(path, ending, suffix):
    return path.suffix.lower() == ending and path.stem.endswith(suffix) and not path.name.startswith(".")


def _way(top, place):
    """(the deepest folder or file on the way to a place that exists, the rest of the way)."""
    parts = [part for part in place.split("/") if part]
    for number in range(len(parts), -1, -1):
        there = inside(top, "/".join(parts[:number])) if number else top
        if there:
            return there, parts[number:]
    return top, parts


def _lacking(place, ways):
    path, _ = min(ways, key=lambda way: len(way[1]))
    holds = [each.name + "/" * each.is_dir() for each in entries(path) if not each.name.startswith(".")]
    return Part(place, False, f"{path} holds {few(holds) if holds else 'nothing'}")
