"""What turns one net into another, so that it predicts densely: lessons 5, 7 and 8.

convolutionalize(classifier)      a classifier of one crop -> a net for any image size, with the same weights
rarefy(net, stride)               a net of large output stride -> one of a smaller stride, with the same weights
shift_and_stitch(net, x, stride)  the same dense output from many passes of the net as it is
"""

from fcn_from_scratch.dense.classifier import convolutionalize
from fcn_from_scratch.dense.rarefaction import rarefy
from fcn_from_scratch.dense.stitching import shift_and_stitch

__all__ = ["convolutionalize", "rarefy", "shift_and_stitch"]
