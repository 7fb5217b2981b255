"""What remembers: parameters, gradients, and what forward keeps for backward. See layers.base for the contract."""

from fcn_from_scratch.layers.activation import ChannelDropout, Dropout, Flatten, ReLU
from fcn_from_scratch.layers.base import Layer
from fcn_from_scratch.layers.branches import Branches
from fcn_from_scratch.layers.container import Container, Sequential
from fcn_from_scratch.layers.conv import Conv2d, ConvTranspose2d, Linear
from fcn_from_scratch.layers.fusion import Concat, Crop, SkipFusion, Sum
from fcn_from_scratch.layers.normalization import LocalResponseNorm
from fcn_from_scratch.layers.pooling import AvgPool2d, MaxPool2d, MaxUnpool2d
from fcn_from_scratch.layers.shift_and_stitch import ShiftAndStitch
from fcn_from_scratch.layers.upsampler import upsampler
from fcn_from_scratch.layers.upsampling import BedOfNails, BilinearUpsample, NearestUpsample, PixelShuffle
from fcn_from_scratch.layers.window import Window

__all__ = [
    "AvgPool2d",
    "BedOfNails",
    "BilinearUpsample",
    "Branches",
    "ChannelDropout",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "Crop",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "MaxUnpool2d",
    "NearestUpsample",
    "PixelShuffle",
    "ReLU",
    "Sequential",
    "ShiftAndStitch",
    "SkipFusion",
    "Sum",
    "Window",
    "upsampler",
]
