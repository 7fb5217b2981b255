"""CamVid, street scenes seen from a car, as laid out for SegNet."""

from pathlib import Path, PureWindowsPath

from fcn_from_scratch.checks import InputError, choice
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.lists import read_list
from fcn_from_scratch.datasets.places import pictures
from fcn_from_scratch.palette import voc_palette

SPLITS = ("train", "val", "test")
UNLABELLED = 11  # the id of unlabelled pixels in the files

# name: (colour, class weight). The weights are copied from SegNet's published training files. Median frequency
# balancing of the published labels gives nearly the same numbers, except for SignSymbol (3.85).
_TABLE = {
    "Sky": ((128, 128, 128), 0.2595),
    "Building": ((128, 0, 0), 0.1826),
    "Pole": ((192, 192, 128), 4.5640),
    "Road": ((128, 64, 128), 0.1417),
    "Pavement": ((60, 40, 222), 0.9051),
    "Tree": ((128, 128, 0), 0.3826),
    "SignSymbol": ((192, 128, 128), 9.6446),
    "Fence": ((64, 64, 128), 1.8418),
    "Car": ((64, 0, 128), 0.6823),
    "Pedestrian": ((64, 64, 0), 6.2478),
    "Bicyclist": ((0, 128, 192), 7.3614),
}
CLASSES = tuple(_TABLE)
CLASS_WEIGHTS = tuple(weight for _, weight in _TABLE.values())


def camvid_palette():
    """CamVid's colours for ids 0..10 and VOC's for the rest. Returns: uint8 (256, 3) RGB."""
    palette = voc_palette()
    palette[: len(CLASSES)] = [colour for colour, _ in _TABLE.values()]
    return palette


class CamVid(PairDataset):
    """root/{split}/X.png with labels root/{split}annot/X.png: 367 train, 101 val, 233 test pairs of 480x360.

    root    the folder that holds train/ and trainannot/, or one above it (CamVid/, SegNet/CamVid/)
    split   "train", "val" or "test". A list root/{split}.txt is followed where there is one. Only the last two parts
            of its paths count ("/SegNet/CamVid/train/X.png"). Without a list all files are taken, sorted by name
    others  cache, cache_bytes: see PairDataset
    There are 11 classes and no background. The files' id 11 (unlabelled) is read as 255, ignore.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    palette = camvid_palette()
    upright = False

    def __init__(self, root, split="train", cache=False, cache_bytes=256 * 2**20):
        choice(split, "split", SPLITS)
        root = Path(root)
        root = first_folder(
            [root, root / "CamVid", root / "SegNet" / "CamVid"],
            split,
            f"camvid reads {split}/*.png and {split}annot/*.png",
        )
        pairs = [(image.stem, image, labels) for image, labels in _pairs(root, split)]
        super().__init__(pairs, CLASSES, ignore=(UNLABELLED,), cache=cache, cache_bytes=cache_bytes)


def _pairs(root, split):
    path = root / f"{split}.txt"
    if not path.is_file():
        images = pictures(root / split).values()
        return [(image, root / f"{split}annot" / image.name) for image in images]
    pairs = []
    for line in read_list(path):
        if len(line.split()) != 2:
            raise InputError(f"{path} has a line that is not a picture and its labels: {line}")
        pairs.append(tuple(root.joinpath(*PureWindowsPath(word).parts[-2:]) for word in line.split()))
    return pairs
