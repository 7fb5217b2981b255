"""Convolution and its gradients by several algorithms, and the choice between them.

All of them compute the same numbers, up to rounding:

im2col          engine.conv_im2col: patches times weights, one block of patches at a time. It takes every convolution
wide            engine.conv_wide: patches times weights, one part of the channels at a time, for fc7
winograd        engine.winograd: F(4, 3), a quarter of the multiplications for a 3x3 kernel
winograd_wide   engine.winograd_wide: F(4, 7), 36 % of the multiplications for fc6. Its gradients, and all of it on a
                GPU, are those of "wide"
implicit        on a GPU, engine.conv_gpu: one kernel whose patches are in shared memory only. On a CPU it is im2col,
                whose blocks of patches stay in the cache: the same idea
3xtf32          on a GPU, in float32: implicit, with three products of TF32 numbers for one. Only if it is asked for

ops.conv has checked the arguments. `geometry` is an ops.shapes.Geometry. "winograd" can start from a weight that was
transformed in advance, see `transformation`.
"""

import functools
import math

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import conv_gpu, threads
from fcn_from_scratch.engine.conv_im2col import (
    im2col_backward,
    im2col_conv2d,
    im2col_conv2d_relu_pool,
    im2col_input_grad,
    im2col_weight_grad,
)
from fcn_from_scratch.engine.conv_wide import wide_conv2d, wide_input_grad, wide_weight_grad
from fcn_from_scratch.engine.im2col import blocks
from fcn_from_scratch.engine.pixelwise import long_sums, rectify
from fcn_from_scratch.engine.pooling import max_pool2d_winner
from fcn_from_scratch.engine.winograd import (
    transformed_weight,
    winograd_conv2d,
    winograd_conv2d_relu_pool,
    winograd_input_grad,
)
from fcn_from_scratch.engine.winograd_weight_grad import winograd_weight_grad
from fcn_from_scratch.engine.winograd_wide import can_transform, winograd_wide_conv2d

ALGORITHMS = ("auto", "im2col", "wide", "winograd", "winograd_wide", "implicit", "3xtf32")
WINOGRAD_CHANNELS = 64  # with fewer, transforming the pixels costs more time than it saves
WINOGRAD_TILES = 64  # of 4x4 outputs; with fewer, transforming the weights costs more time than it saves
WIDE_WEIGHTS = 1 << 20  # fewer stay in the cache, so reading them for every block of patches is cheap
LARGE_KERNEL = 5  # pixels a side; with fewer, F(4, k) saves less than its transforms cost
LARGE_KERNEL_PLACES = 144  # of outputs; with fewer, F(4, k) saves little or nothing


def conv2d(x, weight, bias, geometry, algorithm="auto", *, relu=False, transformed=None, workspace=None):
    """Compute ops.conv2d.

    algorithm    one of ALGORITHMS; "auto" depends on the shapes, see `choose`
    relu         replace negative values by zero before they are written: relu(conv2d(...)) without a second pass
    transformed  a function without arguments that returns the weight after `transformation`, for a weight that is used
                 many times. It is called only if Winograd's algorithm is taken
    workspace    where the memory of y comes from, a workspace.Workspace; by default COMMON
    Returns: y (N, F, oh, ow), channels last in memory.
    """
    chosen = _chosen(algorithm, (x, weight), x.shape, weight, geometry)
    if kernels.usable(x, weight, bias):
        return conv_gpu.conv2d(x, weight, bias, geometry, relu, chosen)
    if chosen == "winograd":
        kernel = None if transformed is None else transformed()
        return winograd_conv2d(x, weight, bias, geometry.padding, relu, kernel, workspace)
    compute = {"wide": wide_conv2d, "winograd_wide": winograd_wide_conv2d}.get(chosen, im2col_conv2d)
    return compute(x, weight, bias, geometry, relu, workspace)


def conv2d_relu_pool(
    x, weight, bias, geometry, pool, algorithm="auto", *, transformed=None, workspace=None, winners=True
):
    """Compute conv2d, ReLU and a 2x2 max-pool at stride 2 in one pass.

    y[n, f, i, j] = max(0, the largest of conv2d's four pixels [n, f, 2i + a, 2j + b])

    Winograd never writes the map between them. Neither does im2col for maps of even size.
    pool     the ops.shapes.Geometry of the pool; the other arguments are conv2d's
    winners  with False, winner may be None: without a backward nobody needs it
    Returns: y (N, F, ph, pw), and winner, uint8, like y: the place 2a + b of each window's first largest pixel, or a
    number of 4 or more if no pixel is positive. ReLU lets no gradient through there. So max_pool2d_winner_backward(dy,
    winner, ...) is the gradient with respect to conv2d's output, ReLU included.
    Identity: equals the three ops one after another, bit for bit  (tests/engine/test_conv.py).
    """
    chosen = _chosen(algorithm, (x, weight), x.shape, weight, geometry)
    if kernels.usable(x, weight, bias):
        return conv_gpu.conv2d_relu_pool(x, weight, bias, geometry, pool, chosen)
    if get_array_module(x, weight, bias) is np:
        if chosen == "winograd":
            sizes, kernel = (geometry.padding, pool.output_size), None if transformed is None else transformed()
            return winograd_conv2d_relu_pool(x, weight, bias, *sizes, kernel, workspace, winners)
        if chosen == "im2col" and geometry.groups == 1 and not any(n % 2 for n in geometry.output_size):
            return im2col_conv2d_relu_pool(x, weight, bias, geometry, workspace, winners)
    y = conv2d(x, weight, bias, geometry, chosen, workspace=workspace)
    y, winner = max_pool2d_winner(y, pool)
    winner = winner + winner.dtype.type(4) * ~(y > 0)
    return rectify(y, y), winner  # after the pool ReLU has a quarter of the numbers to do


def conv2d_backward(dy, x, weight, geometry, out=None, algorithm="auto", *, workspace=None):
    """Compute ops.conv2d_backward: (dx, dweight, dbias). The last two are added to `out` if it is given."""
    chosen = _chosen(algorithm, (dy, x, weight), x.shape, weight, geometry)
    dweight, dbias = (_zeros(dy, x, weight), 0) if out is None else out
    on_gpu = kernels.usable(dy, x, weight, dweight)
    by_tiles = chosen == "winograd" and not on_gpu
    if by_tiles:
        _, total = winograd_weight_grad(dy, x, geometry.padding, dweight, workspace)
        total = total.astype(checks.floating_result(get_array_module(dy), dy), copy=False)
    else:
        total = 0 if dbias is None else conv2d_bias_grad(dy)
    if dbias is not None:
        dbias += total
    if on_gpu:
        return conv_gpu.conv2d_backward(dy, x, weight, geometry, dweight, chosen), dweight, dbias
    if chosen in ("im2col", "implicit"):
        return im2col_backward(dy, x, weight, geometry, dweight, workspace), dweight, dbias
    if not by_tiles:
        conv2d_weight_grad(dy, x, weight, geometry, dweight, algorithm, workspace=workspace)
    dx = conv2d_input_grad(dy, x.shape, weight, geometry, algorithm, workspace=workspace)  # the largest array last
    return dx, dweight, dbias


def conv2d_input_grad(dy, x_shape, weight, geometry, algorithm="auto", *, workspace=None):
    """Compute ops.conv2d_input_grad."""
    chosen = _chosen(algorithm, (dy, weight), x_shape, weight, geometry)
    if kernels.usable(dy, weight):
        return conv_gpu.conv2d_input_grad(dy, x_shape, weight, geometry, chosen)
    if chosen == "winograd":
        return winograd_input_grad(dy, weight, geometry.padding, workspace)
    compute = wide_input_grad if chosen in ("wide", "winograd_wide") else im2col_input_grad
    return compute(dy, x_shape, weight, geometry, workspace)


def conv2d_weight_grad(dy, x, weight, geometry, out=None, algorithm="auto", *, workspace=None):
    """Compute ops.conv2d_weight_grad."""
    chosen = _chosen(algorithm, (dy, x), x.shape, weight, geometry)
    out = _zeros(dy, x, weight) if out is None else out
    if kernels.usable(dy, x, out):
        return conv_gpu.conv2d_weight_grad(dy, x, weight, geometry, out, chosen)
    if chosen == "winograd":
        return winograd_weight_grad(dy, x, geometry.padding, out, workspace)[0]
    compute = wide_weight_grad if chosen in ("wide", "winograd_wide") else im2col_weight_grad
    return compute(dy, x, weight, geometry, out)


@threads.one_blas_thread
def conv2d_bias_grad(dy):
    """Compute ops.conv2d_bias_grad by products with ones, some rows of an image at a time.

    This is up to ten times as fast as a sum along columns, and its rounding error is smaller.
    """
    xp, (n, f, h, w) = get_array_module(dy), dy.shape
    pixels = dy.transpose(0, 2, 3, 1)
    parts = blocks(n, h, w * f * dy.dtype.itemsize, most=None if xp is np else dy.nbytes)  # on a GPU one part
    sums = [None] * len(parts)

    def add_up(number):
        rows = pixels[parts[number]].reshape(-1, f)
        sums[number] = long_sums(xp.ones(len(rows), dy.dtype), rows)

    threads.run(add_up, range(len(parts)))
    return sum(sums[1:], start=sums[0])


def choose(x_shape, weight_shape, geometry, dtype=np.float32):
    """Choose the algorithm that is fastest for these shapes, as measured on two cores.

    winograd        3x3, stride 1, at least 64 channels in and out, at least 64 tiles of outputs, float32. Its rounding
                    errors are 10 times those of a plain sum, and whoever takes float64 wants small errors
    wide            there are more weights than numbers in all patches
    winograd_wide   the same, a kernel of 5 to 7 pixels a side, stride 1, at least 144 outputs of a channel, float32
    im2col          everything else: the narrow networks of the lessons, strides, dilation and groups
    """
    positions = x_shape[0] * math.prod(geometry.output_size)
    kernel_size, stride, _, dilation, groups, _ = geometry
    if positions >= 16 * WINOGRAD_TILES and _winograd_pays(weight_shape, stride, dilation, groups, dtype):
        return "winograd"
    if groups != 1 or weight_shape[0] <= positions or math.prod(weight_shape) < WIDE_WEIGHTS:
        return "im2col"
    large = min(kernel_size) >= LARGE_KERNEL and positions >= LARGE_KERNEL_PLACES and dtype == np.float32
    return "winograd_wide" if large and can_transform(kernel_size, stride, dilation, groups) else "wide"


def transformation(weight, stride, dilation, groups, algorithm="auto"):
    """Return the function that transforms a weight in advance, for many forwards: if `choose` may take "winograd".

    Otherwise None.
    """
    pays = _winograd_pays(weight.shape, stride, dilation, groups, weight.dtype)
    return transformed_weight if pays and algorithm in ("auto", "winograd") else None


def _winograd_pays(weight_shape, stride, dilation, groups, dtype):
    return (
        _winograd_takes(weight_shape[2:], stride, dilation, groups)
        and min(weight_shape[:2]) >= WINOGRAD_CHANNELS
        and dtype == np.float32
    )


def _zeros(dy, x, weight):
    xp = get_array_module(dy, x, weight)
    return xp.zeros_like(weight, dtype=checks.floating_result(xp, dy, x))


def _winograd_takes(kernel_size, stride, dilation, groups):
    return tuple(kernel_size) == (3, 3) and stride == dilation == (1, 1) and groups == 1


def _chosen(algorithm, multiplied, x_shape, weight, geometry):
    """The algorithm to take. `multiplied` are the two arrays that are multiplied."""
    xp = get_array_module(*multiplied)
    checks.choice(algorithm, "algorithm", ALGORITHMS)
    dtype = checks.floating_result(xp, *multiplied)
    place = "cpu" if xp is np else conv_gpu.precision()
    return _resolved(algorithm, tuple(x_shape), tuple(weight.shape), geometry, dtype, place)


@functools.lru_cache(maxsize=1024)  # every layer asks the same question three times a step
def _resolved(algorithm, x_shape, weight_shape, geometry, dtype, place="cpu"):
    """The algorithm to take. `dtype` is that of the result; place is "cpu", or on a GPU conv_gpu.precision()."""
    kernel_size, stride, _, dilation, groups, _ = geometry
    if algorithm == "auto":
        chosen = choose(x_shape, weight_shape, geometry, dtype)
        return chosen if place == "cpu" or (chosen, place) == ("winograd", "full") else "im2col"
    if algorithm == "winograd" and place == "tf32":
        raise ValueError(
            "algorithm 'winograd' makes rounding errors 20 times as large, and with TF32 they are too large for that: "
            "take 'im2col', or unset CUPY_TF32"
        )
    if algorithm == "winograd" and not _winograd_takes(kernel_size, stride, dilation, groups):
        raise ValueError(
            "algorithm 'winograd' takes 3x3 kernels at stride 1 without dilation or groups; got "
            f"kernel_size {kernel_size}, stride {stride}, dilation {dilation}, groups {groups}"
        )
    if algorithm == "3xtf32" and (place == "cpu" or dtype != np.float32):
        raise ValueError(
            "algorithm '3xtf32' multiplies float32 numbers on the tensor cores of a GPU; got "
            + ("arrays of the CPU" if place == "cpu" else str(dtype))
        )
    if algorithm in ("wide", "implicit", "3xtf32") and groups != 1:
        raise ValueError(f"algorithm {algorithm!r} takes convolutions without groups; got groups {groups}")
    if algorithm == "winograd_wide" and not can_transform(kernel_size, stride, dilation, groups):
        raise ValueError(
            "algorithm 'winograd_wide' takes kernels of 2 to 7 pixels a side at stride 1 without dilation or groups; "
            f"got kernel_size {kernel_size}, stride {stride}, dilation {dilation}, groups {groups}"
        )
    return "wide" if algorithm == "winograd_wide" and place != "cpu" else algorithm
