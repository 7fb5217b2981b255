"""Convolution with more weights than patches, such as fc6: the work is split by channels, not by pixels.

fc6 of VGG16 has 411 MB of weights. On a 500-pixel image it has 16x16 places, whose patches take 26 MB. conv_im2col
would read all the weights once for every block of patches. Its gradient with respect to the input is a convolution of
the padded dy, with 1.9 times as many places and 8 times as many channels. So here all patches are gathered at once, and
each thread computes some of the output channels, with their part of the weights.

Weights that lie channels last in memory are never copied. `geometry` is an ops.shapes.Geometry, without groups.
"""

from itertools import product

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.conv_im2col import weight_matrix
from fcn_from_scratch.engine.im2col import channels_first, channels_last, gather
from fcn_from_scratch.engine.pixelwise import rectify
from fcn_from_scratch.engine.workspace import empty_from

PRODUCT_BYTES = 16 << 20


@threads.one_blas_thread
def wide_conv2d(x, weight, bias, geometry, relu=False, workspace=None):
    """y[(n, i, j), f] = bias[f] + sum over (a, b, c) of patches[(n, i, j), (a, b, c)] * weight[(a, b, c), f]"""
    xp = get_array_module(x, weight, bias)
    dtype = checks.floating_result(xp, x, weight)
    patches, matrix = _patches(x, geometry, dtype), weight_matrix(weight, dtype)
    y = empty_from(workspace, xp)((len(patches), len(weight)), dtype)

    def fill(outputs):
        product = matrix[:, outputs].T @ patches.T  # tall: BLAS is faster with tall matrices than with wide ones
        if bias is not None:
            product += bias[outputs, None]
        if relu:
            rectify(product, product)
        y[:, outputs] = product.T

    threads.run(fill, _parts(len(weight)))
    return channels_first(y.reshape(len(x), *geometry.output_size, len(weight)))


@threads.one_blas_thread
def wide_input_grad(dy, x_shape, weight, geometry, workspace=None):
    """dx[n, s*i + d*a - p, s*j + d*b - p, c] += dpatches[(n, i, j), (a, b, c)], the sum over f of dy times weight"""
    _, (sh, sw), (ph, pw), (dh, dw), _, (oh, ow) = geometry
    xp = get_array_module(dy, weight)
    dtype, make = checks.floating_result(xp, dy, weight), empty_from(workspace, xp)
    n, c, h, w = x_shape
    kh, kw = geometry.kernel_size
    upstream = channels_last(dy, dtype=dtype).reshape(n * oh * ow, -1)
    matrix = weight_matrix(weight, dtype)
    dpatches = make((len(upstream), kh * kw * c), dtype)

    def multiply(columns):
        xp.matmul(upstream, matrix[columns].T, out=dpatches[:, columns])

    dx = make((n, h + 2 * ph, w + 2 * pw, c), dtype)
    dx[...] = 0

    def add_up(inputs):
        for a, b in product(range(kh), range(kw)):
            top, left = dh * a, dw * b
            target = dx[:, top : top + sh * (oh - 1) + 1 : sh, left : left + sw * (ow - 1) + 1 : sw, inputs]
            target += dpatches.reshape(n, oh, ow, kh, kw, c)[:, :, :, a, b, inputs]

    threads.run(multiply, _parts(kh * kw * c))
    threads.run(add_up, _parts(c))
    return channels_first(dx[:, ph : ph + h, pw : pw + w])


@threads.one_blas_thread
def wide_weight_grad(dy, x, weight, geometry, out):
    """out[f, c, a, b] += sum over (n, i, j) of dy[(n, i, j), f] * patches[(n, i, j), (a, b, c)]"""
    xp = get_array_module(dy, x, out)
    dtype = checks.floating_result(xp, dy, x)
    f, c, kh, kw = weight.shape
    patches = _patches(x, geometry, dtype)
    upstream = xp.ascontiguousarray(channels_last(dy, dtype=dtype).reshape(len(patches), f).T)
    patches, total = patches.reshape(-1, kh, kw * c), out.transpose(0, 2, 3, 1)

    def add_up(item):
        outputs, a = item
        total[outputs, a] += (upstream[outputs] @ patches[:, a]).reshape(-1, kw, c)

    # The product is computed a few megabytes at a time. All of it would be as large as the weights.
    parts = threads.split(f, max(2 * threads.shares(), out.size * out.itemsize // (kh * PRODUCT_BYTES)))
    threads.run(add_up, product(parts, range(kh)))
    return out


def _patches(x, geometry, dtype):
    """All patches: (N * oh * ow, kh * kw * C)."""
    kernel_size, stride, padding, dilation, _, (oh, ow) = geometry
    return gather(channels_last(x, padding, dtype=dtype), slice(0, oh), ow, kernel_size, stride, dilation)


def _parts(channels):
    """Slices of the channels. If one thread is held up, the others take over some of its work."""
    return threads.split(channels, 2 * threads.shares())
