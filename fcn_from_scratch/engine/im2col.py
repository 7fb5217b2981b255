"""Patches: how to gather them into the rows of a matrix, and how to add such rows back to an image.

Both turn convolution into one matrix product (GEMM), the operation that processors do best. The functions that a
reader calls index arrays as (N, C, H, W). In memory the arrays lie channels last, (N, H, W, C): then a row of a patch,
kw pixels of C channels, is contiguous. A whole patch matrix would be kh*kw times as large as the image. So it is made
one block of rows at a time, and a block stays in the processor's cache.
"""

import functools
import math

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads

BLOCK_BYTES = 4 << 20  # of the patches in one block; larger blocks do not fit the cache, smaller ones cost more calls
GPU_BLOCK_BYTES = 256 << 20  # the same on a GPU, which is fast with large blocks: this only limits the memory
OUTPUT_BYTES = 1 << 20  # of the outputs in one block, in layers whose outputs take more memory than their patches
LEAST_BYTES = 512 * 1024  # a smaller block is not worth handing to another thread
SHORT_ROW = 12  # numbers in one row of a patch: copying so few at a time is slow, see with_border
SMALL = 1 << 18  # numbers in an array: up to here, zeroing all of it is faster than zeroing its border
N, H, W, C = range(4)  # the axes of an array that lies channels last


def channels_last(x, padding=(0, 0), fill=0, dtype=None, extra=(0, 0)):
    """x (N, C, H, W) as a contiguous (N, H + 2ph + eh, W + 2pw + ew, C) array. If x already is one, there is no copy.

    padding  (ph, pw), the border on each side
    extra    (eh, ew), more border at the end only
    """
    xp = get_array_module(x)
    dtype = x.dtype if dtype is None else dtype
    x = x.transpose(0, 2, 3, 1)
    (ph, pw), (eh, ew) = padding, extra
    if ph == pw == eh == ew == 0:
        return xp.ascontiguousarray(x, dtype=dtype)
    n, h, w, c = x.shape
    shape = n, h + 2 * ph + eh, w + 2 * pw + ew, c
    if fill == 0 and math.prod(shape) <= SMALL:
        padded = xp.zeros(shape, dtype)
        padded[:, ph : ph + h, pw : pw + w] = x
        return padded
    padded = xp.empty(shape, dtype)
    padded[:, :ph] = fill
    padded[:, ph + h :] = fill
    padded[:, ph : ph + h, :pw] = fill
    padded[:, ph : ph + h, pw + w :] = fill
    padded[:, ph : ph + h, pw : pw + w] = x
    return padded


def short_row(kernel_size, channels):
    """Whether a row of a patch has few numbers, but more than one pixel."""
    return 1 < kernel_size[1] and kernel_size[1] * channels <= SHORT_ROW


def with_border(x, padding, kernel_size, dtype):
    """x (N, C, H, W) with a border of zeros, as (N, H + 2ph, W + 2pw, C), for `gather`.

    It lies channels last in memory, or plane by plane if a row of a patch is short. From planes `gather` copies whole
    image rows, each into one column of the patch matrix.
    """
    (n, c, h, w), (ph, pw) = x.shape, padding
    if get_array_module(x) is not np or not short_row(kernel_size, c):
        return channels_last(x, padding, dtype=dtype)
    planes = np.zeros((c, n, h + 2 * ph, w + 2 * pw), dtype)
    planes[:, :, ph : ph + h, pw : pw + w] = x.transpose(1, 0, 2, 3)
    return planes.transpose(1, 2, 3, 0)


def channels_first(x):
    """(N, H, W, C) indexed as (N, C, H, W): a view of the same memory."""
    return x.transpose(0, 3, 1, 2)


def blocks(images, rows, row_bytes, parts=1, most=None):
    """Slices (images, rows) that together cover all rows of all images, as a tuple.

    A block is several whole images, or at least one row of a single image. So the part of a channels-last array that it
    selects is contiguous. It takes at most `most` bytes (by default BLOCK_BYTES), unless one row takes more.

    row_bytes  the bytes of one row's patches, or of its outputs
    parts      how many blocks to make at least, unless they would be smaller than LEAST_BYTES. If more are needed,
               their number is a multiple of `parts`: of three blocks, one of two threads would get two
    """
    return _blocks(images, rows, row_bytes, parts, most or BLOCK_BYTES, LEAST_BYTES)


@functools.lru_cache(maxsize=1024)  # a layer asks for the same ones at every step
def _blocks(images, rows, row_bytes, parts, most, least):
    budget = min(most, max(images * rows * row_bytes // parts, least))
    images_at_once = budget // max(rows * row_bytes, 1)
    if images_at_once >= 1:
        cuts = threads.split(images, _rounded_up(images, images_at_once, parts))
        return tuple((some, slice(0, rows)) for some in cuts)
    cuts = threads.split(rows, _rounded_up(rows, max(budget // row_bytes, 1), parts))
    return tuple((slice(n, n + 1), some) for n in range(images) for some in cuts)


def _rounded_up(total, at_once, parts):
    """How many blocks of at most `at_once` cover `total`, as a multiple of `parts` if there are more than one."""
    count = -(-total // at_once)
    return count if count == 1 else -(-count // parts) * parts


def block_list(xp, images, rows, row_bytes, output_bytes=0):
    """All blocks, for the threads. Those of a GPU are larger.

    output_bytes  the bytes of one row of outputs, given if they are read again, for the bias or the ReLU. If they are
                  more than those of the patches, they limit the block
    """
    if xp is not np:
        return blocks(images, rows, row_bytes, 1, GPU_BLOCK_BYTES)
    if output_bytes > row_bytes:
        return blocks(images, rows, output_bytes, threads.shares(), OUTPUT_BYTES)
    return blocks(images, rows, row_bytes, threads.shares())


def gather(padded, rows, ow, kernel_size, stride, dilation):
    """im2col: the patches below some output rows, one patch in each row of the matrix.

    patches[(n, r, q), (a, b, c)] = padded[n, s*r + d*a, s*q + d*b, c]

    Shapes: padded (n, Hp, Wp, C), see with_border. Returns: (n * rows * ow, kh * kw * C).
    """
    if kernels.usable(padded):
        return kernels.im2col(padded, rows, ow, kernel_size, stride, dilation)
    sh, sw = stride
    positions = (N, len(padded), 1), (H, rows.stop - rows.start, sh), (W, ow, sw)
    return _patches(padded, sh * rows.start, positions, kernel_size, dilation)


def gather_windows(padded, rows, ow, kernel_size, stride, dilation):
    """The patches below some rows of 2x2 windows of output pixels, ordered by their place (a, b) in the window.

    patches[(a, b, n, r, q), ...] = gather's patches[(n, 2r + a, 2q + b), ...]

    So the four outputs that a pool compares come from four contiguous parts of the product.
    Shapes: rows and ow count windows. Returns: (4 * n * rows * ow, kh * kw * C).
    """
    sh, sw = stride
    places = (H, 2, sh), (W, 2, sw)
    positions = (N, len(padded), 1), (H, rows.stop - rows.start, 2 * sh), (W, ow, 2 * sw)
    return _patches(padded, 2 * sh * rows.start, (*places, *positions), kernel_size, dilation)


def _patches(padded, top, positions, kernel_size, dilation):
    """The patches at some positions from row `top` on, as a matrix. If `padded` lies plane by plane, the matrix lies
    column by column.

    positions  tuples as in `strided`
    """
    (kh, kw), (dh, dw), c = kernel_size, dilation, padded.shape[C]
    taps = (H, kh, dh), (W, kw, dw), (C, c, 1)
    if padded.strides[W] == padded.itemsize:
        return strided(padded, top, (*taps, *positions)).reshape(kh * kw * c, -1).T
    return strided(padded, top, (*positions, *taps)).reshape(-1, kh * kw * c)


def strided(array, top, axes):
    """A view of an array from row `top` on, which may hold an element several times.

    axes   the view's axes, as tuples (axis of the array, how many elements, steps from one to the next)
    """
    shape = [count for _, count, _ in axes]
    strides = [apart * array.strides[axis] for axis, _, apart in axes]
    if isinstance(array, np.ndarray) and array.flags.c_contiguous:  # takes a tenth of as_strided's time
        return np.ndarray(shape, array.dtype, array, top * array.strides[H], strides)
    return get_array_module(array).lib.stride_tricks.as_strided(array[:, top:], shape, strides)


@threads.one_blas_thread
def scatter_add(x, weight, stride, size, dilation=(1, 1)):
    """Add a scaled kernel to the image for every pixel of x: the transpose of a gather and a product.

    y[n, s*i + d*a, s*j + d*b, o] += x[n, i, j, c] * weight[c, o, a, b]

    Without dilation, write the tap as a = s*u + phase. All taps with the same u land on one shifted copy of the whole
    grid. So the sum has ceil(kh/s) * ceil(kw/s) large terms instead of kh*kw small ones: four for the paper's kernels
    of size 2s.
    Shapes: x (N, H, W, C) channels last; weight (C, O, kh, kw); size (oh, ow) of the result.
    Returns: (N, oh, ow, O). Pixels outside `size` are dropped. Pixels that no kernel reaches are zero.
    """
    xp = get_array_module(x, weight)
    n, h, w, c = x.shape
    _, out_channels, kh, kw = weight.shape
    if kernels.usable(x, weight):
        return _scatter_add_on_gpu(x, weight, stride, size, dilation)
    if dilation != (1, 1):
        return _scatter_add_by_taps(x, weight, stride, size, dilation)
    sh, sw = stride
    uh, uw = -(-kh // sh), -(-kw // sw)
    taps = xp.zeros((c, uh * sh, uw * sw, out_channels), x.dtype)
    taps[:, :kh, :kw] = weight.transpose(0, 2, 3, 1)
    matrix = taps.reshape(c, -1)
    tiles_h = max(h + uh - 1, -(-size[0] // sh))
    tiles_w = max(w + uw - 1, -(-size[1] // sw))
    y = xp.zeros((n, tiles_h, sh, tiles_w, sw, out_channels), x.dtype)
    row_bytes = w * matrix.shape[1] * x.dtype.itemsize
    for image, rows in blocks(n, h, row_bytes):
        part = x[image, rows]
        count = part.shape[1]
        cells = (part.reshape(-1, c) @ matrix).reshape(-1, count, w, uh, sh, uw, sw, out_channels)
        for u in range(uh):
            for v in range(uw):
                # The last taps are fewer. The zeros beyond them are left out: a NaN in x times 0 would be NaN.
                last_h, last_w = min(sh, kh - sh * u), min(sw, kw - sw * v)
                target = y[image, rows.start + u : rows.stop + u, :last_h, v : v + w, :last_w]
                target += cells[:, :, :, u, :last_h, v, :last_w].transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(n, tiles_h * sh, tiles_w * sw, out_channels)
    return y[:, : size[0], : size[1]]


def _scatter_add_by_taps(x, weight, stride, size, dilation):
    """scatter_add with one term for each tap. So no zeros stand between the taps, which would turn a NaN in x into a
    NaN in pixels that the kernel does not reach."""
    xp = get_array_module(x, weight)
    (n, h, w, c), (_, out_channels, kh, kw), (sh, sw), (dh, dw) = x.shape, weight.shape, stride, dilation
    matrix = weight.transpose(0, 2, 3, 1).reshape(c, -1).astype(x.dtype, copy=False)
    reached = sh * (h - 1) + dh * (kh - 1) + 1, sw * (w - 1) + dw * (kw - 1) + 1
    y = xp.zeros((n, max(size[0], reached[0]), max(size[1], reached[1]), out_channels), x.dtype)
    for image, rows in blocks(n, h, w * matrix.shape[1] * x.dtype.itemsize):
        part = x[image, rows]
        count = part.shape[1]
        cells = (part.reshape(-1, c) @ matrix).reshape(-1, count, w, kh, kw, out_channels)
        for a, b in np.ndindex(kh, kw):
            top, left = sh * rows.start + dh * a, dw * b
            target = y[image, top : top + sh * (count - 1) + 1 : sh, left : left + sw * (w - 1) + 1 : sw]
            target += cells[:, :, :, a, b]
    return y[:, : size[0], : size[1]]


def _scatter_add_on_gpu(x, weight, stride, size, dilation):
    """scatter_add as one product and one col2im, some images at a time."""
    (n, h, w, c), (_, out_channels, kh, kw) = x.shape, weight.shape
    matrix = weight.transpose(0, 2, 3, 1).reshape(c, -1)
    y = get_array_module(x).empty((n, *size, out_channels), x.dtype)
    for image, _ in blocks(n, 1, h * w * matrix.shape[1] * x.dtype.itemsize, 1, GPU_BLOCK_BYTES):
        columns = x[image].reshape(-1, c) @ matrix
        y[image] = kernels.col2im(columns, y[image].shape, (h, w), (kh, kw), stride, dilation)
    return y


def patch_bytes(ow, kernel_size, channels, dtype):
    """The bytes of the patches below one output row."""
    return ow * math.prod(kernel_size) * channels * dtype.itemsize
