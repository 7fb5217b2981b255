"""PASCAL VOC's segmentation task, in the layout of its development kit."""

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.lists import bare_name, read_list
from fcn_from_scratch.datasets.pascal import CLASSES, PICTURES, devkits, seg11valid
from fcn_from_scratch.datasets.transforms import CAFFE
from fcn_from_scratch.resources import SAMPLE

SEG11VALID = "seg11valid"


class VOC(PairDataset):
    """JPEGImages/X.jpg and SegmentationClass/X.png for each X in ImageSets/Segmentation/{split}.txt.

    root    the folder that holds these three, or one above it (VOCdevkit/, TrainVal/ or their parent). Of several
            years the last is taken. None is the project's own small sample
    split   the name of a list in ImageSets/Segmentation: "train", "val", "trainval" or one of yours. The paper
            validates on "seg11valid". Where there is no such list, it is made as VOC 2011's val without SBD's train
            (pascal.py)
    sbd     where SBD is, for "seg11valid"; None looks around root
    others  cache, cache_bytes: see PairDataset
    There are 21 classes with the background. 255 is the border around the objects and is ignored.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = CAFFE

    def __init__(self, root=None, split="train", sbd=None, cache=False, cache_bytes=256 * 2**20):
        if root is None and not SAMPLE.is_dir():
            raise InputError("voc needs a root: the folder with JPEGImages/ (the drawn sample is not installed)")
        folders = devkits(SAMPLE if root is None else root)
        if split == SEG11VALID:  # prefer the labels of 2011 where there are several years
            folders.sort(key=lambda folder: folder.name != "VOC2011")
        root = first_folder(
            folders,
            "SegmentationClass",
            "voc reads JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/",
        )
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        if split == SEG11VALID and not path.is_file():
            names = seg11valid(root, sbd)
        else:
            names = [bare_name(line.split()[0], PICTURES) for line in read_list(path)]
        pairs = [
            (name, root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png") for name in names
        ]
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)
