"""CamVid, street scenes seen from a car: the 701 stills of its authors, and what SegNet made of them.

The authors label the stills with colours, one for each of 32 classes. SegNet groups these into 11.
"""

import re
from pathlib import Path, PureWindowsPath

import numpy as np

from fcn_from_scratch.checks import InputError, choice
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.labels import IGNORE, read_colour_labels
from fcn_from_scratch.datasets.lists import read_list, read_names
from fcn_from_scratch.datasets.places import inside, pictures
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

# The colours of the authors' 32 classes (label_colors.txt of CamVid), grouped as in MathWorks' example "Semantic
# Segmentation Using Deep Learning" (camvidPixelLabelIDs), which follows SegNet. Void is ignored.
_STILLS = {
    "Sky": ((128, 128, 128),),
    "Building": ((128, 0, 0), (0, 128, 64), (64, 192, 0), (64, 0, 64), (192, 0, 128)),  # Bridge Wall Tunnel Archway
    "Pole": ((192, 192, 128), (0, 0, 64)),  # Column_Pole TrafficCone
    "Road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),  # Road LaneMkgsDriv LaneMkgsNonDriv
    "Pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),  # Sidewalk ParkingBlock RoadShoulder
    "Tree": ((128, 128, 0), (192, 192, 0)),  # Tree VegetationMisc
    "SignSymbol": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),  # SignSymbol Misc_Text TrafficLight
    "Fence": ((64, 64, 128),),
    "Car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),  # SUV Truck Train Other
    "Pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),  # Child CartLuggagePram Animal
    "Bicyclist": ((0, 128, 192), (192, 0, 192)),  # Bicyclist MotorcycleScooter
    "Void": ((0, 0, 0),),
}
_COLOURS = np.array([colour for colours in _STILLS.values() for colour in colours], np.uint8)
_IDS = np.array([CLASSES.index(k) if k in CLASSES else IGNORE for k, colours in _STILLS.items() for _ in colours])
ROOTS = ("CamVid", "SegNet/CamVid")
STILLS = ("701_StillsRaw_full", "images", "stills")
STILL_LABELS = ("LabeledApproved_full", "labels")


def camvid_palette():
    """CamVid's colours for ids 0..10 and VOC's for the rest. Returns: uint8 (256, 3) RGB."""
    palette = voc_palette()
    palette[: len(CLASSES)] = [colour for colour, _ in _TABLE.values()]
    return palette


class CamVid(PairDataset):
    """root/{split}/X.png with labels root/{split}annot/X.png: 367 train, 101 val, 233 test pairs of 480x360.

    The authors' stills of 960x720 are read too: 701_StillsRaw_full/X.png and LabeledApproved_full/X_L.png, whose
    colours are grouped into the 11 classes. The splits are the same pictures. So are {split}/ and {split}_labels/.

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
        places = [Path(root), *(place for name in ROOTS if (place := inside(root, name)))]
        # The layout decides before the folder does: beside CamVid/ there may be a folder images/ of other data.
        name = next((name for name in (split, *STILLS) if any(inside(place, name) for place in places)), split)
        self.folder = first_folder(places, name, f"camvid reads {split}/*.png and {split}annot/*.png")
        segnet = inside(self.folder, split)
        pairs = _pairs(self.folder, split) if segnet else _stills(self.folder, split)
        pairs = [(image.stem, image, labels) for image, labels in pairs]
        super().__init__(pairs, CLASSES, ignore=(UNLABELLED,), cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        path = self.pairs[index][2]
        if path.stem.endswith("_L"):
            return read_colour_labels(path, _COLOURS, _IDS, self.upright)
        return super().labels_at(index)


def _pairs(root, split):
    path = inside(root, f"{split}.txt")
    if path is None:
        annot = inside(root, f"{split}_labels") or root / f"{split}annot"
        suffix = "_L.png" if annot.name.lower().endswith("_labels") else ".png"
        return [(image, annot / f"{stem}{suffix}") for stem, image in pictures(inside(root, split)).items()]
    pairs = []
    for line in read_list(path):
        if len(line.split()) != 2:
            raise InputError(f"{path} has a line that is not a picture and its labels: {line}")
        pairs.append(tuple(root.joinpath(*PureWindowsPath(word).parts[-2:]) for word in line.split()))
    return pairs


def _stills(root, split):
    """The pairs of a split of the stills: of its list where there is one, otherwise of SegNet's split."""
    images = pictures(next(place for name in STILLS if (place := inside(root, name))))
    folder = next((place for name in STILL_LABELS if (place := inside(root, name))), root / STILL_LABELS[0])
    labels = pictures(folder, {".png"})
    path = inside(root, f"{split}.txt")
    names = read_names(path) if path else [name for name in images if still_split(name) == split]
    if not names:
        raise InputError(f"none of the {len(images)} stills in {root} is in the split {split}")
    return [(images.get(n, root / STILLS[0] / f"{n}.png"), labels.get(f"{n}_L", folder / f"{n}_L.png")) for n in names]


def still_split(name):
    """The split of a still, "" for a name that is none of CamVid's: X stands for 0001TP_006690 and the like.

    This rule gives the lists of SegNet: the second half of the sequence 0001TP, and all of Seq05VD, are for testing;
    a part of 0016E5 is for validation.
    """
    match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", name)
    if not match:
        return ""
    sequence, frame = match[1], int(match[2])
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame > 8520):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"
