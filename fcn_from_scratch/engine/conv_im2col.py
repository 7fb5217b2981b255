"""Convolution as patches times weights: one matrix product (GEMM) for the forward, and one for each gradient.

im2col_conv2d_relu_pool also does the ReLU and the 2x2 max-pool that follow. It pools each block of outputs while the
block is in the processor's cache, and writes a quarter of the numbers.

ops.conv has checked the arguments. `geometry` is an ops.shapes.Geometry.
"""

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import (
    BLOCK_BYTES,
    block_list,
    channels_first,
    channels_last,
    gather,
    gather_windows,
    patch_bytes,
    scatter_add,
    short_row,
    with_border,
)
from fcn_from_scratch.engine.pixelwise import long_sums, rectify
from fcn_from_scratch.engine.pooling import relu_pool
from fcn_from_scratch.engine.workspace import empty_from


@threads.one_blas_thread
def im2col_conv2d(x, weight, bias, geometry, relu=False, workspace=None):
    """y[(n, i, j), f] = bias[f] + sum over (a, b, c) of patches[(n, i, j), (a, b, c)] * weight[(a, b, c), f]"""
    kernel_size, stride, _, dilation, groups, (oh, ow) = geometry
    xp = get_array_module(x, weight, bias)
    dtype = checks.floating_result(xp, x, weight)
    n, (f, c) = x.shape[0], weight.shape[:2]
    padded = with_border(x, geometry.padding, kernel_size, dtype)
    y = empty_from(workspace, xp)((n, oh, ow, f), dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        source = padded if groups == 1 else xp.ascontiguousarray(padded[..., inputs])
        matrix = weight_matrix(weight[outputs], dtype)

        def fill(block, source=source, matrix=matrix, outputs=outputs):
            image, rows = block
            part = y[image, rows].reshape(-1, f)[:, outputs]
            xp.matmul(gather(source[image], rows, ow, kernel_size, stride, dilation), matrix, out=part)
            if relu and bias is not None and groups == 1 and kernels.usable(part, bias):
                kernels.bias_relu(part, bias, out=part)  # only of contiguous memory: not of a group's part
                return
            if groups == 1:
                part = part.reshape(-1, ow * f)
            if bias is not None:
                part += _along_rows(bias, ow) if groups == 1 else bias[outputs]
            if relu:
                rectify(part, part)

        sizes = patch_bytes(ow, kernel_size, c, dtype), ow * matrix.shape[1] * dtype.itemsize
        threads.run(fill, block_list(xp, n, oh, *sizes))
    return channels_first(y)


@threads.one_blas_thread
def im2col_conv2d_relu_pool(x, weight, bias, geometry, workspace=None, winners=True):
    """Compute im2col_conv2d, ReLU and a 2x2 max-pool in one pass: (y, winner), see engine.conv.conv2d_relu_pool.

    It takes NumPy arrays, one group, and an even number of output rows and columns.
    """
    kernel_size, stride, padding, dilation, _, size = geometry
    ph, pw = (length // 2 for length in size)
    dtype = checks.floating_result(np, x, weight)
    n, (f, c) = x.shape[0], weight.shape[:2]
    padded, matrix = with_border(x, padding, kernel_size, dtype), weight_matrix(weight, dtype)
    make = empty_from(workspace, np)
    y = make((n, ph, pw, f), dtype)
    winner = make(y.shape, "uint8") if winners else None

    def fill(block):
        image, rows = block
        part = gather_windows(padded[image], rows, pw, kernel_size, stride, dilation) @ matrix
        if bias is not None:
            lines = part.reshape(-1, pw * f)
            lines += _along_rows(bias, pw)
        pooled = y[image, rows]
        windows = part.reshape(2, 2, *pooled.shape)
        if winner is None:
            rectify(windows.max(axis=(0, 1)), pooled)
        else:
            relu_pool(np, windows, (pooled, winner[image, rows]))

    threads.run(fill, block_list(np, n, ph, 4 * patch_bytes(pw, kernel_size, c, dtype)))
    return channels_first(y), None if winner is None else channels_first(winner)


def im2col_input_grad(dy, x_shape, weight, geometry, workspace=None):
    """Compute the gradient with respect to the input.

    At stride 1 it is a convolution of dy with the kernel turned by 180 degrees. This needs no overlapping additions.
    At other strides each pixel of dy adds its scaled kernel to the image. This is done too if the windows do not reach
    the end of the image, as with the output_padding of a transposed convolution. For an image of few channels it is
    done at stride 1 as well, in planes.
    """
    kernel_size, stride, (ph, pw), dilation, groups, _ = geometry
    if stride == (1, 1) and reaches_the_end(geometry, x_shape[2:]):
        if groups == 1 and short_row(kernel_size, weight.shape[1]) and get_array_module(dy, weight) is np:
            return _input_grad_by_planes(dy, x_shape, weight, geometry)
        dy, flipped, geometry = turned(dy, weight, geometry, x_shape)
        return im2col_conv2d(dy, flipped, None, geometry, workspace=workspace)
    xp = get_array_module(dy, weight)
    f, c = weight.shape[:2]
    n, c_all, h, w = x_shape
    dtype = checks.floating_result(xp, dy, weight)
    source = channels_last(dy, dtype=dtype)
    dx = empty_from(workspace, xp)((n, h, w, c_all), dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        part = xp.ascontiguousarray(source[..., outputs])
        full = scatter_add(part, weight[outputs], stride, (h + 2 * ph, w + 2 * pw), dilation)
        dx[..., inputs] = full[:, ph : ph + h, pw : pw + w]
    return channels_first(dx)


@threads.one_blas_thread
def _input_grad_by_planes(dy, x_shape, weight, geometry):
    """dx[c, n, i + d*a - p, j + d*b - p] += sum over f of weight[f, c, a, b] * dy[f, n, i, j], one tap at a time.

    With few channels c the products are few. A row of dy gets zeros behind it, as many as a row of the padded image is
    longer. So a shift by a tap is a shift in memory, and each sum runs over a whole plane at once.
    """
    (kh, kw), _, (ph, pw), (dh, dw), _, (oh, _) = geometry
    dtype = checks.floating_result(np, dy, weight)
    (n, c, h, w), f = x_shape, len(weight)
    beyond, width = dw * (kw - 1), w + 2 * pw
    taps = weight.transpose(2, 3, 1, 0).reshape(-1, f).astype(dtype, copy=False)
    dx = np.zeros((n, c, (h + 2 * ph) * width + beyond), dtype)
    row_bytes = width * len(taps) * dtype.itemsize

    def add_up(images):
        pixels = channels_last(dy[images], dtype=dtype, extra=(0, beyond))
        for rows in threads.split(oh, len(pixels) * oh * row_bytes // BLOCK_BYTES):
            first, last = rows.start * width, rows.stop * width
            cells = taps @ pixels[:, rows].reshape(-1, f).T
            cells = cells.reshape(kh, kw, c, len(pixels), -1).swapaxes(2, 3)
            for a, b in np.ndindex(kh, kw):
                shift = dh * a * width + dw * b
                dx[images, :, first + shift : last + shift] += cells[a, b]

    threads.run(add_up, threads.split(n, max(threads.shares(), n * oh * row_bytes // BLOCK_BYTES)))
    return dx[..., : (h + 2 * ph) * width].reshape(n, c, h + 2 * ph, width)[..., ph : ph + h, pw : pw + w]


@threads.one_blas_thread
def im2col_weight_grad(dy, x, weight, geometry, out):
    """out[f, (a, b, c)] += sum over (n, i, j) of dy[(n, i, j), f] * patches[(n, i, j), (a, b, c)]"""
    kernel_size, stride, padding, dilation, groups, (oh, ow) = geometry
    xp = get_array_module(dy, x)
    dtype = checks.floating_result(xp, dy, x)
    n, (f, c) = x.shape[0], weight.shape[:2]
    padded, source = with_border(x, padding, kernel_size, dtype), channels_last(dy, dtype=dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        mine = padded if groups == 1 else xp.ascontiguousarray(padded[..., inputs])

        def part(image, rows, mine=mine, outputs=outputs):
            patches = gather(mine[image], rows, ow, kernel_size, stride, dilation)
            upstream = source[image, rows, :, outputs].reshape(-1, f // groups)
            by_columns = patches.flags.f_contiguous  # then the transposed product is faster
            return long_sums(patches.T, upstream).T if by_columns else long_sums(upstream.T, patches)

        total = _sum_over_blocks(part, block_list(xp, n, oh, patch_bytes(ow, kernel_size, c, dtype)))
        out[outputs] += total.reshape(f // groups, *kernel_size, c).transpose(0, 3, 1, 2)
    return out


def im2col_backward(dy, x, weight, geometry, out, workspace=None):
    """Compute both gradients: dx. The gradient with respect to the weight is added to `out`."""
    same = len({array.dtype for array in (dy, x, weight)}) == 1
    planes = short_row(geometry.kernel_size, x.shape[1])
    if same and not planes and geometry.stride == (1, 1) and geometry.groups == 1:
        return _both_gradients(dy, x, weight, geometry, out, workspace)
    im2col_weight_grad(dy, x, weight, geometry, out)
    return im2col_input_grad(dy, x.shape, weight, geometry, workspace)  # the largest array last


@threads.one_blas_thread
def _both_gradients(dy, x, weight, geometry, out, workspace=None):
    """Compute both gradients at stride 1, without groups, from one patch matrix: the patches of dy.

    Returns: dx, as im2col_input_grad computes it. The gradient with respect to the weight is added to `out`:

    out[f, (kh-1-a, kw-1-b, c)] += sum over (n, i, j) of patches[(n, i, j), (a, b, f)] * x[(n, i, j), c]
    """
    (n, c, h, w), f = x.shape, len(weight)
    xp = get_array_module(dy, x, weight)
    dtype = checks.floating_result(xp, dy, x, weight)
    dy, flipped, (kernel_size, stride, padding, dilation, _, _) = turned(dy, weight, geometry, x.shape)
    padded, matrix = with_border(dy, padding, kernel_size, dtype), weight_matrix(flipped, dtype)
    pixels, dx = channels_last(x, dtype=dtype), empty_from(workspace, xp)((n, h, w, c), dtype)

    def part(image, rows):
        patches = gather(padded[image], rows, w, kernel_size, stride, dilation)
        xp.matmul(patches, matrix, out=dx[image, rows].reshape(-1, c))
        return long_sums(patches.T, pixels[image, rows].reshape(-1, c))

    total = _sum_over_blocks(part, block_list(xp, n, h, patch_bytes(w, kernel_size, f, dtype)))
    out += total.reshape(*kernel_size, f, c)[::-1, ::-1].transpose(2, 3, 0, 1)
    return channels_first(dx)


def _sum_over_blocks(part, blocks):
    """Return the sum of part(image, rows) over all blocks.

    Every threads.shares()-th block goes to one of several totals, which are added at the end. The order of the
    additions does not depend on the number of threads, nor on which of them is faster.
    """
    totals = [None] * min(threads.shares(), len(blocks))

    def add(number, found):
        place = number % len(totals)
        totals[place] = found if totals[place] is None else totals[place] + found

    threads.in_order(lambda block: part(*block), blocks, add)
    return sum(totals[1:], start=totals[0])


def reaches_the_end(geometry, size):
    """Whether, at stride 1, the windows reach the last pixels of an image of `size` (H, W)."""
    kernel_size, _, padding, dilation, _, out = geometry
    return [o + d * (k - 1) - 2 * p for o, d, k, p in zip(out, dilation, kernel_size, padding)] == list(size)


def turned(dy, weight, geometry, x_shape):
    """Return (dy, weight, geometry) of the convolution that is the gradient with respect to the input at stride 1.

    The kernel is turned by 180 degrees. dy is cropped where its padding would be negative.
    """
    kernel_size, _, padding, dilation, groups, _ = geometry
    f, c = weight.shape[:2]
    grouped = weight.reshape(groups, f // groups, c, *kernel_size)
    turned = grouped[..., ::-1, ::-1].swapaxes(1, 2).reshape(groups * c, f // groups, *kernel_size)
    border = [d * (k - 1) - p for k, d, p in zip(kernel_size, dilation, padding)]
    crop_h, crop_w = (max(-width, 0) for width in border)
    dy = dy[:, :, crop_h : dy.shape[2] - crop_h, crop_w : dy.shape[3] - crop_w]
    border = tuple(max(width, 0) for width in border)
    return dy, turned, geometry._replace(padding=border, output_size=tuple(x_shape[2:]))


def _group_slices(groups, c, f):
    """The (input channels, output channels) of each group; c is the group's input channels, f all outputs."""
    per_group = f // groups
    for g in range(groups):
        yield slice(g * c, (g + 1) * c), slice(g * per_group, (g + 1) * per_group)


def _along_rows(bias, ow):
    """The bias repeated for a row of ow pixels, channels last. Adding whole rows takes a third of the time."""
    return bias[None].repeat(ow, axis=0).reshape(-1)


def weight_matrix(weight, dtype):
    """weight (F, C, kh, kw) as a (kh*kw*C, F) matrix, to multiply patches by. A view if it lies channels last."""
    f = weight.shape[0]
    return weight.transpose(2, 3, 1, 0).reshape(-1, f).astype(dtype, copy=False)
