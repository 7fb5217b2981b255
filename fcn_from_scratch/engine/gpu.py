"""The ops that one hand-written CUDA kernel computes from beginning to end.

Each function computes the op of the same name, which has checked the arguments. It takes and returns maps indexed as
(N, C, H, W). The kernels work on channels-last maps, (N, H, W, C).
Convolutions are in engine.conv. They call kernels for patches, products and Winograd's transforms.
"""

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.im2col import channels_first, channels_last


def max_pool2d_backward(dy, indices, x_shape):
    n, c, h, w = x_shape
    places = channels_last(indices, dtype=np.int64)
    return channels_first(kernels.max_pool_indices_backward(channels_last(dy), places, (n, h, w, c)))


def max_unpool2d(x, indices, size):
    return channels_first(kernels.max_unpool(channels_last(x), channels_last(indices, dtype=np.int64), size))


def max_unpool2d_backward(dy, indices):
    return channels_first(kernels.max_unpool_backward(channels_last(dy), channels_last(indices, dtype=np.int64)))


def avg_pool2d(x, geometry, count_include_pad):
    return channels_first(kernels.avg_pool(channels_last(x), geometry.output_size, *geometry[:3], count_include_pad))


def avg_pool2d_backward(dy, x_shape, geometry, count_include_pad):
    n, c, h, w = x_shape
    return channels_first(kernels.avg_pool_backward(channels_last(dy), (n, h, w, c), *geometry[:3], count_include_pad))


def conv_transpose2d(x, weight, bias, geometry, size):
    """`size` is y's, with its output_padding."""
    placing = geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    return channels_first(kernels.conv_transpose(channels_last(x), weight, bias, size, *placing))


def bilinear_upsample(x, kernel_size, stride, padding):
    return channels_first(kernels.bilinear(channels_last(x), kernel_size, stride, padding))


def bilinear_upsample_backward(dy, x_shape, kernel_size, stride, padding):
    n, c, h, w = x_shape
    return channels_first(kernels.bilinear_backward(channels_last(dy), (n, h, w, c), kernel_size, stride, padding))


def dropout(x, mask, p):
    xp = get_array_module(x, mask)
    return _channels_second(kernels.dropout(_channels_last(x), xp.ascontiguousarray(mask), p))


def local_response_norm(x, size, alpha, beta, k):
    return _channels_second(kernels.local_response_norm(_channels_last(x), size, alpha, beta, k))


def local_response_norm_backward(dy, x, size, alpha, beta, k):
    arrays = _channels_last(dy), _channels_last(x)
    return _channels_second(kernels.local_response_norm_backward(*arrays, size, alpha, beta, k))


def softmax_cross_entropy(scores, labels, ignore_index, reduction, weight, mask):
    """Return (loss, dscores, how many labels are out of range). The loss is on the host, as NumPy's float64."""
    xp, by_pixel = get_array_module(scores), _channels_last(scores)
    flat = xp.ascontiguousarray(labels).ravel().astype(np.int64, copy=False)
    extra = [None if a is None else xp.ascontiguousarray(a).ravel().astype(scores.dtype) for a in (weight, mask)]
    loss, wrong, dscores = kernels.softmax_cross_entropy(
        by_pixel.reshape(-1, scores.shape[1]), flat, ignore_index, reduction == "mean", *extra
    )
    return loss, _channels_second(dscores.reshape(by_pixel.shape)), wrong


def _channels_last(x):
    """x (N, C, ...) as a contiguous (N, ..., C)."""
    xp = get_array_module(x)
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1))


def _channels_second(x):
    return get_array_module(x).moveaxis(x, -1, 1)
