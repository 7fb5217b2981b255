"""Functions that turn one net into another that predicts densely: lessons 5, 7, 8 and 13.

convolutionalize(classifier)      a classifier of one crop -> a net for any image size, with the same weights
rarefy(net, stride)               a net of large output stride -> one of a smaller stride, with the same weights
shift_and_stitch(net, x, stride)  the same dense output from many passes of the unchanged net
pixel_mask, cell_mask             which cells' losses count: patchwise training as loss sampling
labels_at_cells, patches          the label of each cell, and the window of the image that the cell sees
TiledPredictor(model)(x)          the scores of a very large picture, computed tile by tile
"""

from fcn_from_scratch.dense.classifier import convolutionalize
from fcn_from_scratch.dense.loss_sampling import cell_mask, labels_at_cells, patches, pixel_mask
from fcn_from_scratch.dense.rarefaction import rarefy
from fcn_from_scratch.dense.stitching import shift_and_stitch
from fcn_from_scratch.dense.tiles import TiledPredictor

__all__ = [
    "TiledPredictor",
    "cell_mask",
    "convolutionalize",
    "labels_at_cells",
    "patches",
    "pixel_mask",
    "rarefy",
    "shift_and_stitch",
]
