"""Kernels that work on single numbers or along the channels of a pixel. x is (rows, C) in memory, channels last."""

import math

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch, walkers


def bias_relu(x, bias, out=None):
    """max(x + bias, 0) along the last axis, in one pass (bias_relu.cu). `out` may be x itself."""
    y = get_array_module(x).empty(x.shape, x.dtype) if out is None else out
    sizes = x.size // len(bias), len(bias)
    launch("bias_relu", x.size, x, contiguous(bias), y, *sizes, blocks=walkers(x.size))
    return y


def relu_backward(dy, y):
    """dx of ops.relu_backward for two contiguous arrays (bias_relu.cu)."""
    dx = get_array_module(dy, y).empty(dy.shape, dy.dtype)
    launch("relu_backward", dy.size, dy, y, dx, dy.size)
    return dx


def local_response_norm(x, size, alpha, beta, k):
    """y of ops.local_response_norm for x (..., C) (lrn.cu)."""
    y = get_array_module(x).empty(x.shape, x.dtype)
    launch("lrn", x.size, x, y, *_rows(x), size, alpha, beta, k)
    return y


def local_response_norm_backward(dy, x, size, alpha, beta, k):
    """dx of ops.local_response_norm_backward for x (..., C) (lrn.cu)."""
    xp = get_array_module(x)
    shared, dx = xp.empty(x.shape, x.dtype), xp.empty(x.shape, x.dtype)
    arguments = *_rows(x), size, alpha, beta, k
    launch("lrn_backward_shared", x.size, dy, x, shared, *arguments)
    launch("lrn_backward", x.size, dy, x, shared, dx, *arguments)
    return dx


def dropout(x, mask, p):
    """y of ops.dropout (dropout.cu).

    Shapes: x (N, ..., C), channels last; mask (N, C, ...), in the order in which it is drawn, or (N, C).
    """
    y = get_array_module(x).empty(x.shape, x.dtype)
    n, c = x.shape[0], x.shape[-1]
    by_channel = mask.ndim < x.ndim
    scale = x.dtype.type(1) / x.dtype.type(1 - p)
    launch("dropout", x.size, x, mask, y, n, math.prod(x.shape[1:-1]), c, int(by_channel), scale)
    return y


def sgd(weight, velocity, grad, momentum, rate, decay):
    """One step by Caffe's rule, in place (sgd.cu): velocity = momentum*velocity + rate*grad + decay*weight.

    The axes may have any order in memory. The weights of convolutions are often channels last.
    """
    order = sorted(range(weight.ndim), key=lambda axis: -weight.strides[axis])
    ordered = [array.transpose(*order) for array in (weight, velocity, grad)]
    dense = list(map(contiguous, ordered))
    launch("sgd", weight.size, *dense, weight.size, momentum, rate, decay)
    for array, worked_on in zip(ordered[:2], dense):
        if not array.flags.c_contiguous:  # the kernel worked on a copy
            array[...] = worked_on


def _rows(x):
    return x.size // x.shape[-1], x.shape[-1]
