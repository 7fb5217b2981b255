"""CUDA kernels written by hand, one idea in each .cu file, and the functions that run them on CuPy's arrays.

`ops` calls these functions for arrays on the GPU and keeps its own code for NumPy's arrays. A kernel computes what the
op of the same name defines. Maps are channels last in memory here, (N, H, W, C), as they are inside `ops`. Every sum is
made in one fixed order, so a run repeats bit for bit on one machine.

Source: the kernels are this project's own; where an idea comes from somebody else, its file says so. Lesson 16.
"""

from fcn_from_scratch.backend import usable
from fcn_from_scratch.kernels.convolution import col2im, gemm, im2col, implicit_gemm, implicit_weight_grad
from fcn_from_scratch.kernels.counts import MOST_CLASSES, confusion_matrix
from fcn_from_scratch.kernels.loss import softmax_cross_entropy
from fcn_from_scratch.kernels.pixelwise import (
    bias_relu,
    dropout,
    local_response_norm,
    local_response_norm_backward,
    relu_backward,
    sgd,
)
from fcn_from_scratch.kernels.pooling import (
    MOST_PLACES,
    avg_pool,
    avg_pool_backward,
    max_pool,
    max_pool_backward,
    max_pool_indices_backward,
    max_unpool,
    max_unpool_backward,
)
from fcn_from_scratch.kernels.random import dropout_mask, skip
from fcn_from_scratch.kernels.upsample import bilinear, bilinear_backward, conv_transpose, interlace
from fcn_from_scratch.kernels.winograd import conv3x3, conv3x3_input_grad, conv3x3_relu_pool, conv3x3_weight_grad

__all__ = [
    "MOST_CLASSES",
    "MOST_PLACES",
    "avg_pool",
    "avg_pool_backward",
    "bias_relu",
    "bilinear",
    "bilinear_backward",
    "col2im",
    "confusion_matrix",
    "conv3x3",
    "conv3x3_input_grad",
    "conv3x3_relu_pool",
    "conv3x3_weight_grad",
    "conv_transpose",
    "dropout",
    "dropout_mask",
    "gemm",
    "im2col",
    "implicit_gemm",
    "implicit_weight_grad",
    "interlace",
    "local_response_norm",
    "local_response_norm_backward",
    "max_pool",
    "max_pool_backward",
    "max_pool_indices_backward",
    "max_unpool",
    "max_unpool_backward",
    "relu_backward",
    "sgd",
    "skip",
    "softmax_cross_entropy",
    "usable",
]
