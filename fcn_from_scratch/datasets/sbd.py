"""SBD, the Semantic Boundaries Dataset: labels of VOC's classes for many more of PASCAL VOC's pictures.

The paper's networks are trained on SBD's training list. This list also holds pictures of VOC's own validation lists.
Whoever trains on it must therefore validate on VOC's "seg11valid" (see voc.py), or the scores come out too high.
"""

from fcn_from_scratch.datasets.base import PairDataset
from fcn_from_scratch.datasets.labels import read_mat_labels
from fcn_from_scratch.datasets.lists import read_names
from fcn_from_scratch.datasets.pascal import CLASSES, PICTURES, sbd_folder
from fcn_from_scratch.datasets.transforms import CAFFE


class SBD(PairDataset):
    """img/X.jpg and cls/X.mat (GTcls.Segmentation) for each X in {split}.txt.

    root    the folder that holds these, or one above it (benchmark_RELEASE/ or its parent)
    split   a list there: "train" (8,498 pictures), "val", or one of yours
    others  cache, cache_bytes: see PairDataset
    The classes are VOC's: 21 with the background.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = CAFFE

    def __init__(self, root, split="train", cache=False, cache_bytes=256 * 2**20):
        root = sbd_folder(root)
        names = read_names(root / f"{split}.txt", PICTURES)
        pairs = [(name, root / "img" / f"{name}.jpg", root / "cls" / f"{name}.mat") for name in names]
        super().__init__(pairs, CLASSES, cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        return read_mat_labels(self.pairs[index][2], "GTcls", self.num_classes, field="Segmentation")
