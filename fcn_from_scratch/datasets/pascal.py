"""What the three readers of PASCAL VOC's pictures share: the classes, the folders and the list seg11valid."""

from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.base import first_folder
from fcn_from_scratch.datasets.lists import read_names

PICTURES = (".jpg", ".jpeg", ".png", ".mat")  # endings that names in lists may have
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
    """`root`, then the folders of VOC's years below it, the last year first. VOC's archives unpack to these places."""
    patterns = ("VOC2*", "VOCdevkit/VOC2*", "TrainVal/VOCdevkit/VOC2*")
    found = [folder for pattern in patterns for folder in Path(root).glob(pattern)]
    return [Path(root), *sorted(found, key=lambda folder: folder.name, reverse=True)]


def sbd_folder(root):
    """SBD's folder with img/, cls/ and the lists: `root` itself, or the place below it where the archive unpacks.

    Raises: InputError with the path that is missing.
    """
    places = [Path(root, place) for place in (".", "dataset", "benchmark_RELEASE/dataset", "sbdd/dataset")]
    return first_folder(places, "cls", "sbd reads img/*.jpg, cls/*.mat and train.txt, val.txt")


def seg11valid(root, sbd=None):
    """The names on VOC 2011's validation list that are not on SBD's training list, in the order of VOC's list.

    The paper's networks are trained on SBD and have seen the names that are left out. When both lists are complete,
    736 names remain.

    root  a folder of VOC; VOC2011's list is looked for there and in up to three folders above it
    sbd   SBD's folder or one above it; None looks in the same places
    Raises: InputError that says which list is missing.
    """
    root = Path(root).absolute()
    above = [root, *root.parents[:3]]
    lists = [
        folder / "ImageSets" / "Segmentation" / "val.txt"
        for place in above
        for folder in devkits(place)
        if folder.name == "VOC2011"
    ]
    lists = [path for path in lists if path.is_file()]
    if not lists:
        raise InputError(f"seg11valid needs VOC2011/ImageSets/Segmentation/val.txt, which is not at {root} or above")
    taken = set(read_names(_find_sbd(above if sbd is None else [Path(sbd)]) / "train.txt", PICTURES))
    return [name for name in read_names(lists[0], PICTURES) if name not in taken]


def _find_sbd(places):
    for place in places:
        try:
            return sbd_folder(place)
        except InputError:
            continue
    raise InputError(
        "seg11valid needs benchmark_RELEASE/dataset/train.txt, SBD's training list, which is not at "
        f"{places[0]}{' or above' * (len(places) > 1)}"
    )
