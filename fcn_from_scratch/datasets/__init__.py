"""Labelled pictures. They are drawn on the fly or read from disk, prepared for a network, and put into batches."""

import inspect

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.audit import audit, count_ids, survey
from fcn_from_scratch.datasets.augment import ColourJitter, Compose, RandomCrop, RandomFlip, RandomScale
from fcn_from_scratch.datasets.base import Dataset, InMemory, PairDataset, Sample
from fcn_from_scratch.datasets.batches import Batches, collate, epoch
from fcn_from_scratch.datasets.camvid import CamVid
from fcn_from_scratch.datasets.catalogue import SOURCES
from fcn_from_scratch.datasets.folder import Folder
from fcn_from_scratch.datasets.images import read_image
from fcn_from_scratch.datasets.labels import IGNORE, read_labels, read_mat_labels, save_labels
from fcn_from_scratch.datasets.mat import read_mat
from fcn_from_scratch.datasets.nyud import NYUD, published_input
from fcn_from_scratch.datasets.pascalcontext import PascalContext
from fcn_from_scratch.datasets.sbd import SBD
from fcn_from_scratch.datasets.shapes import Shapes
from fcn_from_scratch.datasets.siftflow import SIFTFlow
from fcn_from_scratch.datasets.stripes import Stripes
from fcn_from_scratch.datasets.transforms import CAFFE, HHA_MEAN, TORCHVISION, VOC_MEAN_BGR, Preprocess
from fcn_from_scratch.datasets.voc import VOC
from fcn_from_scratch.palette import voc_palette

__all__ = [
    "CAFFE",
    "HHA_MEAN",
    "IGNORE",
    "NAMES",
    "NYUD",
    "SBD",
    "SOURCES",
    "TORCHVISION",
    "VOC",
    "VOC_MEAN_BGR",
    "Batches",
    "CamVid",
    "ColourJitter",
    "Compose",
    "Dataset",
    "Folder",
    "InMemory",
    "PairDataset",
    "PascalContext",
    "Preprocess",
    "RandomCrop",
    "RandomFlip",
    "RandomScale",
    "SIFTFlow",
    "Sample",
    "Shapes",
    "Stripes",
    "audit",
    "build",
    "collate",
    "count_ids",
    "epoch",
    "published_preprocess",
    "read_image",
    "read_labels",
    "read_mat",
    "read_mat_labels",
    "save_labels",
    "summary",
    "survey",
    "voc_palette",
]

_DATASETS = {
    "shapes": Shapes,
    "voc": VOC,
    "sbd": SBD,
    "pascalcontext": PascalContext,
    "nyud": NYUD,
    "siftflow": SIFTFlow,
    "camvid": CamVid,
    "folder": Folder,
}
NAMES = tuple(_DATASETS)
OWN = "; for your own pictures say --dataset folder"  # whoever gives a root has files


def summary(name):
    """The first line that a dataset's class says about itself."""
    kind = _DATASETS[name]
    return (kind.__doc__ or kind.__name__).partition("\n")[0]


def published_preprocess(name, modality=None):
    """How the paper's public code prepares the pictures of a data set: a Preprocess, or None where it does not.

    modality  for "nyud", one of nyud.MODALITIES; None is colour
    """
    if name == "nyud":
        return published_input(modality or "color")
    return _DATASETS[name].preprocess


def build(name, root=None, split="train", num_classes=None, **options):
    """Make a dataset from the words that a user typed.

    name         one of NAMES
    root         the folder with the data; "shapes" takes none; "voc" without one reads the project's drawn sample
    num_classes  the number of classes of a "folder", or of one of the two label sets of "pascalcontext"; every other
                 dataset has a fixed number, which this must equal
    options      further arguments of the dataset's class
    Raises: InputError for an unknown name or option; the message lists the right ones. Every complaint of the
    dataset itself also becomes an InputError, with a hint where to get its files.
    """
    if name not in _DATASETS:
        raise InputError(f"there is no dataset {name!r}; there are {', '.join(NAMES)}")
    kind = _DATASETS[name]
    parameters = inspect.signature(kind).parameters.keys()
    known = parameters - {"root", "split", "num_classes"}
    unknown = sorted(options.keys() - known)
    if unknown:
        raise InputError(f"dataset {name} has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    if name == "shapes" and root is not None:
        raise InputError(f"dataset shapes is drawn, not read: it takes no root; got {root}{OWN}")
    if name not in ("shapes", "voc") and root is None:
        raise InputError(f"dataset {name} needs a root: the folder that holds its pictures and labels")
    if name != "shapes":
        options["root"] = root
    if "num_classes" in parameters:
        options["num_classes"] = num_classes
    try:
        dataset = kind(split=split, **options)
    except InputError as error:
        hint = f"; `fcn data {name}` says how to get it" if name in SOURCES else ""
        raise InputError(f"dataset {name}: {error}{hint}") from error
    except ValueError as error:
        raise InputError(f"dataset {name}: {error}") from error
    if num_classes not in (None, dataset.num_classes):
        raise InputError(f"dataset {name} has {dataset.num_classes} classes; num_classes says {num_classes}")
    return dataset
