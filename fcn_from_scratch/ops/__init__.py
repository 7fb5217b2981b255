"""Functions of arrays, without state. Each forward stands beside its backward.

Arrays are indexed (N, C, H, W). Each op first checks its arguments. Inside `with fcn_from_scratch.plain():` the plain
code in the same file then computes the result. Otherwise the faster code of the engine does.
ops.loops defines the same functions as plain loops, and ops.loops_backward defines their gradients.
"""

from fcn_from_scratch.ops.activation import dropout, dropout_backward, relu, relu_backward
from fcn_from_scratch.ops.conv import (
    conv2d,
    conv2d_backward,
    conv2d_bias_grad,
    conv2d_input_grad,
    conv2d_weight_grad,
)
from fcn_from_scratch.ops.conv_transpose import conv_transpose2d, conv_transpose2d_backward
from fcn_from_scratch.ops.crop import crop, crop_backward
from fcn_from_scratch.ops.linear import linear, linear_backward
from fcn_from_scratch.ops.loss import softmax, softmax_cross_entropy
from fcn_from_scratch.ops.normalization import local_response_norm, local_response_norm_backward
from fcn_from_scratch.ops.pixel_shuffle import pixel_shuffle, pixel_shuffle_backward
from fcn_from_scratch.ops.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_unpool2d,
    max_unpool2d_backward,
)
from fcn_from_scratch.ops.upsample import (
    bed_of_nails,
    bed_of_nails_backward,
    bilinear_kernel,
    bilinear_upsample,
    bilinear_upsample_backward,
    interpolate_bilinear,
    interpolate_bilinear_backward,
    upsample_nearest,
    upsample_nearest_backward,
)

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "bed_of_nails",
    "bed_of_nails_backward",
    "bilinear_kernel",
    "bilinear_upsample",
    "bilinear_upsample_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_bias_grad",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "crop",
    "crop_backward",
    "dropout",
    "dropout_backward",
    "interpolate_bilinear",
    "interpolate_bilinear_backward",
    "linear",
    "linear_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "relu",
    "relu_backward",
    "softmax",
    "softmax_cross_entropy",
    "upsample_nearest",
    "upsample_nearest_backward",
]
