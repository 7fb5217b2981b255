"""SBD, the Semantic Boundaries Dataset: labels of VOC's classes for many more of PASCAL VOC's pictures.

The paper's networks are trained on SBD's training list. This list also holds pictures of VOC's own validation lists.
Whoever trains on it must therefore validate on VOC's "seg11valid" (see voc.py), or the scores come out too high.
"""

from fcn_from_scratch.datasets.base import PairDataset
from fcn_from_scratch.datasets.labels import read_mat_labels
from fcn_from_scratch.datasets.lists import read_names
from fcn_from_scratch.datasets.pascal import CLASSES, sbd_folder
from fcn_from_scratch.datasets.places import entries, inside
from fcn_from_scratch.datasets.transforms import CAFFE
from fcn_from_scratch.palette import voc_palette


class SBD(PairDataset):
    """img/X.jpg and cls/X.mat (GTcls.Segmentation), or cls/X.png, for each X in {split}.txt.

    root    the folder that holds these, or one above it (benchmark_RELEASE/, SBD/, VOC_aug/ or the parent of these)
    split   a list there: "train" (8,498 pictures), "val", or one of yours
    others  cache, cache_bytes: see PairDataset
    The classes are VOC's: 21 with the background.
    Raises: InputError with the path that is missing; see also PairDataset.
    """

    preprocess = CAFFE
    upright = False

    def __init__(self, root, split="train", cache=False, cache_bytes=256 * 2**20):
        self.folder = sbd_folder(root)
        names = read_names(inside(self.folder, f"{split}.txt") or self.folder / f"{split}.txt")
        labels = inside(self.folder, "cls")
        kinds = {path.suffix.lower() for path in entries(labels) if not path.name.startswith(".")}
        ending = ".png" if ".png" in kinds and ".mat" not in kinds else ".mat"
        pictures = inside(self.folder, "img") or self.folder / "img"
        pairs = [(name, pictures / f"{name}.jpg", labels / f"{name}{ending}") for name in names]
        super().__init__(pairs, CLASSES, mask_palette=voc_palette(), cache=cache, cache_bytes=cache_bytes)

    def labels_at(self, index):
        path = self.pairs[index][2]
        if path.suffix.lower() == ".png":
            return super().labels_at(index)
        return read_mat_labels(path, "GTcls", self.num_classes, field="Segmentation")
