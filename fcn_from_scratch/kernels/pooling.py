"""Pooling on the GPU. Maps are channels last, (N, H, W, C). Window sizes are pairs (vertical, horizontal)."""

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch, walkers

MOST_PLACES = 255  # the most pixels in a window, since a winner is stored in one byte


def max_pool(x, out, kernel_size, stride, padding, dilation, relu=False):
    """(y, winner) of ops.max_pool2d_winner (max_pool.cu), for windows of at most MOST_PLACES pixels.

    relu  ReLU too: y is max(y, 0), and kh * kw is added to a winner that is not above 0. So 2 * kh * kw is at most
          MOST_PLACES + 1
    Shapes: x (N, H, W, C); out (oh, ow). winner is uint8.
    """
    n, _, _, c = x.shape
    xp = get_array_module(x)
    y, winner = xp.empty((n, *out, c), x.dtype), xp.empty((n, *out, c), np.uint8)
    sizes = *x.shape, *out, *kernel_size, *stride, *padding, *dilation
    launch("max_pool", y.size, x, y, winner, *sizes, int(relu), blocks=walkers(y.size))
    return y, winner


def max_pool_backward(dy, winner, image_shape, kernel_size, stride, padding, dilation):
    """dx of ops.max_pool2d_winner_backward. Each pixel gathers, so the order of additions is fixed (max_pool.cu)."""
    dx = get_array_module(dy).empty(image_shape, dy.dtype)
    window = *dy.shape[1:3], *kernel_size, *stride, *padding, *dilation
    launch("max_pool_backward", dx.size, dy, winner, dx, *image_shape, *window, blocks=walkers(dx.size))
    return dx


def max_pool_indices_backward(dy, indices, image_shape):
    """dx of ops.max_pool2d_backward, with a fixed order of additions (max_pool.cu).

    Shapes: dy, indices (N, oh, ow, C), int64; image_shape (N, H, W, C).
    """
    n, oh, ow, c = dy.shape
    xp = get_array_module(dy, indices)
    order = contiguous(xp.argsort(indices.reshape(n, oh * ow, c), axis=1, kind="stable").astype(np.int64, copy=False))
    dx = xp.zeros(image_shape, dy.dtype)
    sizes = n, oh * ow, image_shape[1] * image_shape[2], c
    launch("max_pool_indices_backward", dy.size, dy, indices, order, dx, *sizes)
    return dx


def avg_pool(x, out, kernel_size, stride, padding, include_pad):
    """y of ops.avg_pool2d (avg_pool.cu). Shapes: x (N, H, W, C); out (oh, ow)."""
    n, _, _, c = x.shape
    y = get_array_module(x).empty((n, *out, c), x.dtype)
    launch("avg_pool", y.size, x, y, *x.shape, *out, *kernel_size, *stride, *padding, int(include_pad))
    return y


def avg_pool_backward(dy, image_shape, kernel_size, stride, padding, include_pad):
    """dx of ops.avg_pool2d_backward (avg_pool.cu)."""
    dx = get_array_module(dy).empty(image_shape, dy.dtype)
    window = *dy.shape[1:3], *kernel_size, *stride, *padding, int(include_pad)
    launch("avg_pool_backward", dx.size, dy, dx, *image_shape, *window)
    return dx


def max_unpool(x, indices, output_size):
    """y of ops.max_unpool2d (max_unpool.cu). Shapes: x, indices (N, h, w, C). Returns: (N, *output_size, C)."""
    n, h, w, c = x.shape
    xp = get_array_module(x)
    y = xp.empty((n, *output_size, c), x.dtype)
    owner = xp.full(y.shape, -1, np.int32)
    sizes = n, h * w, output_size[0] * output_size[1], c
    launch("max_unpool_owner", x.size, indices, owner, *sizes)
    launch("max_unpool", y.size, x, owner, y, *sizes)
    return y


def max_unpool_backward(dy, indices):
    """dx of ops.max_unpool2d_backward (max_unpool.cu). Shapes: dy (N, H, W, C); indices (N, h, w, C)."""
    n, h, w, c = indices.shape
    dx = get_array_module(dy).empty(indices.shape, dy.dtype)
    launch("max_unpool_backward", dx.size, dy, indices, dx, n, h * w, dy.shape[1] * dy.shape[2], c)
    return dx
