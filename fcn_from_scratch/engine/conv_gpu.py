"""Convolution on a GPU, by the kernels of `kernels` and cuBLAS's matrix products.

The border of zeros is never made: im2col.cu puts the zeros into the patches. All functions take arrays of one dtype,
float32 or float64, on the GPU (kernels.usable). `geometry` is an ops.shapes.Geometry.
"""

import math
import os

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.conv_im2col import reaches_the_end, turned, weight_matrix
from fcn_from_scratch.engine.im2col import (
    GPU_BLOCK_BYTES,
    block_list,
    blocks,
    channels_first,
    channels_last,
    patch_bytes,
)
from fcn_from_scratch.engine.pooling_windows import Windows

IMPLICIT = "implicit", "3xtf32"  # algorithms whose patches are in shared memory only; the second on tensor cores


def precision():
    """ "full", or "tf32" if CuPy may round the factors of products to TF32's ten bits."""
    return "tf32" if os.environ.get("CUPY_TF32") == "1" else "full"


def conv2d(x, weight, bias, geometry, relu=False, algorithm="im2col"):
    """Compute engine.conv.conv2d: by Winograd, or by patches, which "implicit" and "3xtf32" keep in shared memory.

    y[(n, i, j), f] = bias[f] + sum over (a, b, c) of patches[(n, i, j), (a, b, c)] * weight[(a, b, c), f]
    """
    if algorithm == "winograd":
        return channels_first(kernels.conv3x3(channels_last(x), weight, bias, geometry.padding, relu))
    if algorithm in IMPLICIT:
        _, stride, padding, dilation, _, out = geometry
        arrays, placing = (channels_last(x), channels_last(weight), bias), (stride, dilation, padding)
        return channels_first(kernels.implicit_gemm(*arrays, out, *placing, relu, algorithm == "3xtf32"))
    f, groups = len(weight), geometry.groups
    xp, pixels = get_array_module(x), channels_last(x)
    y = xp.empty((len(x), *geometry.output_size, f), x.dtype)
    for group in range(groups):
        mine, outputs = _part(pixels, group, groups), _slice(f, group, groups)
        matrix = weight_matrix(weight[outputs], x.dtype)
        for image, rows in _blocks(pixels, geometry, groups):
            target = y[image, rows].reshape(-1, f)
            if groups == 1:
                xp.matmul(_patches(mine[image], rows, geometry), matrix, out=target)
            else:
                target[:, outputs] = _patches(mine[image], rows, geometry) @ matrix
    if relu and bias is not None:
        kernels.bias_relu(y, bias, out=y)
    elif bias is not None:
        y += bias
    elif relu:
        xp.maximum(y, 0, out=y)
    return channels_first(y)


def conv2d_relu_pool(x, weight, bias, geometry, pool, algorithm):
    """Compute engine.conv.conv2d_relu_pool: Winograd in one pass, the others with ReLU and pool in a second one."""
    if algorithm == "winograd":
        sizes = geometry.padding, pool.output_size
        return tuple(map(channels_first, kernels.conv3x3_relu_pool(channels_last(x), weight, bias, *sizes)))
    y = conv2d(x, weight, bias, geometry, algorithm=algorithm)
    windows = Windows(tuple(y.shape[2:]), pool)
    return tuple(map(channels_first, kernels.max_pool(channels_last(y), windows.out, *windows.placing, relu=True)))


def conv2d_backward(dy, x, weight, geometry, out, algorithm="im2col"):
    """Both gradients: returns dx, and adds the gradient with respect to the weight to `out`.

    Where the patches of dy are the smaller matrix, both come from them, as in conv_im2col.im2col_backward. fc6 is the
    other kind: its dy has 4096 channels and must be padded by 6, so its patches are 8 times as large as those of x.
    """
    if algorithm in ("winograd", *IMPLICIT) or _by_patches_of_x(x.shape, weight, geometry):
        conv2d_weight_grad(dy, x, weight, geometry, out, algorithm)
        return conv2d_input_grad(dy, x.shape, weight, geometry, algorithm)
    xp, pixels, (n, c, h, w) = get_array_module(x), channels_last(x), x.shape
    dy, flipped, geometry = turned(dy, weight, geometry, x.shape)
    upstream, matrix, dx = channels_last(dy), weight_matrix(flipped, x.dtype), xp.empty((n, h, w, c), x.dtype)
    total = 0
    for image, rows in _blocks(upstream, geometry, 1):
        patches = _patches(upstream[image], rows, geometry)
        xp.matmul(patches, matrix, out=dx[image, rows].reshape(-1, c))
        total = total + patches.T @ pixels[image, rows].reshape(-1, c)
    out += total.reshape(*geometry.kernel_size, -1, c)[::-1, ::-1].transpose(2, 3, 0, 1)
    return channels_first(dx)


def conv2d_weight_grad(dy, x, weight, geometry, out, algorithm="im2col"):
    """out[f, (a, b, c)] += sum over (n, i, j) of dy[(n, i, j), f] * patches[(n, i, j), (a, b, c)], or by Winograd."""
    if algorithm == "winograd":
        out += kernels.conv3x3_weight_grad(channels_last(dy), channels_last(x), geometry.padding)
        return out
    pixels, upstream, groups = channels_last(x), channels_last(dy), geometry.groups
    if algorithm in IMPLICIT:
        kernel_size, stride, padding, dilation, *_ = geometry
        placing = kernel_size, stride, dilation, padding
        lying_so = out.transpose(0, 2, 3, 1)
        lying_so += kernels.implicit_weight_grad(upstream, pixels, *placing, algorithm == "3xtf32")
        return out
    for group in range(groups):
        mine, above = _part(pixels, group, groups), _part(upstream, group, groups)
        total = 0
        for image, rows in _blocks(pixels, geometry, groups):
            total = total + above[image, rows].reshape(-1, above.shape[3]).T @ _patches(mine[image], rows, geometry)
        lying_so = out[_slice(len(weight), group, groups)].transpose(0, 2, 3, 1)  # as the total, and as weights do
        lying_so += total.reshape(lying_so.shape)
    return out


def conv2d_input_grad(dy, x_shape, weight, geometry, algorithm="im2col"):
    """At stride 1 a convolution of dy with the turned kernel; elsewhere, and for fc6, every pixel of dy adds its scaled
    kernel to the image: columns[(n, i, j), (a, b, c)] = sum over f of dy[(n, i, j), f] * weight[f, (a, b, c)], and
    col2im, the transpose of im2col. With "winograd" by Winograd's algorithm."""
    if algorithm == "winograd":
        return channels_first(kernels.conv3x3_input_grad(channels_last(dy), weight, geometry.padding))
    if not _by_patches_of_x(x_shape, weight, geometry):
        dy, flipped, geometry = turned(dy, weight, geometry, x_shape)
        return conv2d(dy, flipped, None, geometry, algorithm=algorithm)
    kernel_size, stride, padding, dilation, groups, out = geometry
    xp, upstream, (n, c, h, w) = get_array_module(dy), channels_last(dy), x_shape
    dx = xp.empty((n, h, w, c), dy.dtype)
    row_bytes = patch_bytes(out[0] * out[1], kernel_size, c // groups, dy.dtype)
    for group in range(groups):
        above = _part(upstream, group, groups)
        matrix = weight[_slice(len(weight), group, groups)].transpose(0, 2, 3, 1).reshape(above.shape[3], -1)
        for image, _ in blocks(n, 1, row_bytes, 1, GPU_BLOCK_BYTES):
            columns = _times(above[image].reshape(-1, above.shape[3]), matrix, algorithm)
            shape = image.stop - image.start, h, w, c // groups
            dx[image, ..., _slice(c, group, groups)] = kernels.col2im(
                columns, shape, out, kernel_size, stride, dilation, padding
            )
    return channels_first(dx)


def _times(rows, matrix, algorithm):
    """rows @ matrix: by cuBLAS, or as a 1x1 convolution by the kernel that was asked for."""
    if algorithm not in IMPLICIT:
        return rows @ matrix
    pixels, filters = rows[None, None], get_array_module(rows).ascontiguousarray(matrix.T)[:, None, None]
    out, one = pixels.shape[1:3], (1, 1)
    return kernels.implicit_gemm(pixels, filters, None, out, one, one, tensor_cores=algorithm == "3xtf32")[0, 0]


def _by_patches_of_x(x_shape, weight, geometry):
    """Whether the gradients are made from patches of x, and not from those of dy: the smaller of the two.

    Those of dy are no choice where the convolution with the turned kernel is none: at a stride, with groups, or where
    the windows do not reach the end of the image.
    """
    _, channels, *size = x_shape
    if geometry.stride != (1, 1) or geometry.groups != 1 or not reaches_the_end(geometry, size):
        return True
    out = math.prod(geometry.output_size)
    return 2 * out * channels < math.prod(size) * len(weight)  # 2: patches, and the columns of col2im


def _blocks(pixels, geometry, groups):
    """Slices (images, output rows) whose patches fit into memory."""
    oh, ow = geometry.output_size
    row_bytes = patch_bytes(ow, geometry.kernel_size, pixels.shape[3] // groups, pixels.dtype)
    return block_list(get_array_module(pixels), len(pixels), oh, row_bytes)


def _patches(pixels, rows, geometry):
    """The patches below some output rows. Those of a 1x1 kernel are the pixels: they are not copied."""
    kernel_size, stride, padding, dilation, _, (_, ow) = geometry
    if kernel_size == stride == (1, 1) and padding == (0, 0):
        return pixels[:, rows].reshape(-1, pixels.shape[3])
    return kernels.im2col(pixels, rows, ow, kernel_size, stride, dilation, padding)


def _slice(channels, group, groups):
    each = channels // groups
    return slice(group * each, (group + 1) * each)


def _part(pixels, group, groups):
    """One group's channels of pixels (..., C), contiguous."""
    if groups == 1:
        return pixels
    return get_array_module(pixels).ascontiguousarray(pixels[..., _slice(pixels.shape[-1], group, groups)])
