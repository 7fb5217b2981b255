"""The classes of four public data sets by their names: voc, camvid, cityscapes and ade20k."""

import numpy as np

from fcn_from_scratch.datasets import camvid, pascal
from fcn_from_scratch.datasets.labels import IGNORE
from fcn_from_scratch.datasets.own import ade20k
from fcn_from_scratch.datasets.own.class_list import Classes
from fcn_from_scratch.palette import voc_palette

# Cityscapes: the name, the number in *_labelIds.png and the colour in *_color.png of the 19 classes that count, in the
# order of the numbers in *_labelTrainIds.png. Source: mcordts/cityscapesScripts, cityscapesscripts/helpers/labels.py.
_CITYSCAPES = """
road 7 128,64,128
sidewalk 8 244,35,232
building 11 70,70,70
wall 12 102,102,156
fence 13 190,153,153
pole 17 153,153,153
traffic light 19 250,170,30
traffic sign 20 220,220,0
vegetation 21 107,142,35
terrain 22 152,251,152
sky 23 70,130,180
person 24 220,20,60
rider 25 255,0,0
car 26 0,0,142
truck 27 0,0,70
bus 28 0,60,100
train 31 0,80,100
motorcycle 32 0,0,230
bicycle 33 119,11,32
"""
# The other numbers and colours of the same table. They do not count in the evaluation. A group of poles and a licence
# plate have the colours of a pole and of a car.
_CITYSCAPES_VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
_CITYSCAPES_VOID_COLOURS = (
    *((0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100)),
    *((150, 120, 90), (0, 0, 90), (0, 0, 110)),
)


def _voc():
    colours = voc_palette()
    border = (tuple(map(int, colours[IGNORE])), IGNORE)
    return Classes(pascal.CLASSES, None, colours[: len(pascal.CLASSES)], "voc", more_colours=(border,))


def _camvid():
    """SegNet's 11 classes. Its files have 11 for unlabelled pixels; the authors' stills have 32 colours."""
    stills = tuple((tuple(map(int, colour)), int(id)) for colour, id in zip(camvid._COLOURS, camvid._IDS))
    colours = camvid.camvid_palette()[: len(camvid.CLASSES)]
    return Classes(camvid.CLASSES, None, colours, "camvid", (camvid.UNLABELLED,), stills)


def _cityscapes():
    rows = [line.rsplit(" ", 2) for line in _CITYSCAPES.strip().splitlines()]
    names, values, colours = zip(*rows)
    colours = np.array([colour.split(",") for colour in colours]).astype(np.uint8)
    endings = (
        ("_labelids", tuple(map(int, values)), _CITYSCAPES_VOID),
        ("_labeltrainids", tuple(range(len(names))), ()),
    )
    void = tuple((colour, IGNORE) for colour in _CITYSCAPES_VOID_COLOURS)
    return Classes(names, None, colours, "cityscapes", (), void, endings)


def _ade20k():
    rows = [line.split(" ", 1) for line in ade20k.TABLE.strip().splitlines()]
    colours = np.array([colour.split(",") for colour, _ in rows]).astype(np.uint8)
    names = tuple(name for _, name in rows)
    return Classes(names, tuple(range(1, len(names) + 1)), colours, "ade20k", (0,))


KNOWN = {"voc": _voc, "camvid": _camvid, "cityscapes": _cityscapes, "ade20k": _ade20k}
