"""PASCAL VOC's segmentation task, in the layout of its development kit."""

from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.base import PairDataset, first_folder, read_list

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
# the sample that the project drew itself; a checkout has it, an installed package has not
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"


class VOC(PairDataset):
    """JPEGImages/X.jpg and SegmentationClass/X.png for each X in ImageSets/Segmentation/{split}.txt.

    root    the folder that holds these three, or one above it (VOCdevkit/ or its parent; of several years the
            last is taken); None is the project's own small sample
    split   a list in ImageSets/Segmentation: "train", "val", "trainval", or one of yours
    others  cache, cache_bytes: see PairDataset
    21 classes with the background; 255 is the border round the objects and is ignored.
    Raises: InputError with the path that is missing; and see PairDataset.
    """

    def __init__(self, root=None, split="train", cache=False, cache_bytes=256 * 2**20):
        if root is None and not SAMPLE.is_dir():
            raise InputError("voc needs a root: the folder with JPEGImages/ (the drawn sample is not installed)")
        root = Path(SAMPLE if root is None else root)
        years = sorted([*root.glob("VOC2*"), *root.glob("VOCdevkit/VOC2*")], reverse=True)
        root = first_folder(
            [root, *years],
            "SegmentationClass",
            "voc reads JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/",
        )
        lines = read_list(root / "ImageSets" / "Segmentation" / f"{split}.txt")
        names = [line.split()[0] for line in lines]
        pairs = [
            (name, root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png") for name in names
        ]
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)
