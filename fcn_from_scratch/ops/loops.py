"""Every op as plain loops: slow on purpose, and short enough to compare with the equation by eye.

The tests compare each fast op with these definitions, and the lessons begin with them. ops.loops_backward has their
gradients, written in the same way. The arguments are NumPy arrays of matching shapes; they are not checked here.
`np.ndindex(2, 3)` counts (0, 0), (0, 1), (0, 2), (1, 0) and so on. It replaces two nested `for` loops by one line.
In all functions n counts images, c channels, f output channels, (i, j) output pixels, (a, b) kernel taps and (u, v)
input pixels. A stride, padding or size is an integer or a pair (vertical, horizontal).
"""

import math

import numpy as np

from fcn_from_scratch.checks import floating, pair

# --- convolution --------------------------------------------------------------------------------------------


def conv2d_loops(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Each output pixel is the dot product of a kernel with the window under it.

    y[n, f, i, j] = bias[f] + sum_{c, a, b} x[n, g + c, s*i + d*a - p, s*j + d*b - p] * weight[f, c, a, b]

    where g is the first channel of the group that f belongs to. Pixels outside the image are 0. The kernel is not
    flipped. In mathematics this is a correlation; for neural networks it is called convolution.
    """
    x = floating(x)
    (sh, sw), (ph, pw) = pair(stride, "stride", 1), pair(padding, "padding", 0)
    dh, dw = pair(dilation, "dilation", 1)
    N, _, H, W = x.shape
    F, per_group, kh, kw = weight.shape
    oh = (H + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (W + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((N, F, oh, ow), x.dtype)
    for n, f, i, j in np.ndindex(y.shape):
        g = f // (F // groups) * per_group
        for c, a, b in np.ndindex(per_group, kh, kw):
            u, v = sh * i + dh * a - ph, sw * j + dw * b - pw
            if 0 <= u < H and 0 <= v < W:
                y[n, f, i, j] += x[n, g + c, u, v] * weight[f, c, a, b]
        if bias is not None:
            y[n, f, i, j] += bias[f]
    return y


def conv_transpose2d_loops(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Each input pixel adds a copy of the kernel, scaled by its value, to the output. Overlapping copies add up.

    y[n, g + f, s*u + d*a - p, s*v + d*b - p] += x[n, c, u, v] * weight[c, f, a, b]

    where g is the first output channel of the group that c belongs to. Then bias[f] is added to each pixel.
    The padding is cut off on all sides. `output_padding` makes y larger at the bottom and on the right:
    oh = s*(H - 1) + d*(kh - 1) + output_padding + 1 - 2*p.
    """
    x = floating(x)
    (sh, sw), (ph, pw) = pair(stride, "stride", 1), pair(padding, "padding", 0)
    (eh, ew), (dh, dw) = pair(output_padding, "output_padding", 0), pair(dilation, "dilation", 1)
    N, C, H, W = x.shape
    _, per_group, kh, kw = weight.shape
    oh = sh * (H - 1) + dh * (kh - 1) + eh + 1 - 2 * ph
    ow = sw * (W - 1) + dw * (kw - 1) + ew + 1 - 2 * pw
    y = np.zeros((N, groups * per_group, oh, ow), x.dtype)
    for n, c, u, v in np.ndindex(N, C, H, W):
        g = c // (C // groups) * per_group
        for f, a, b in np.ndindex(per_group, kh, kw):
            i, j = sh * u + dh * a - ph, sw * v + dw * b - pw
            if 0 <= i < oh and 0 <= j < ow:
                y[n, g + f, i, j] += x[n, c, u, v] * weight[c, f, a, b]
    if bias is not None:
        for f in range(groups * per_group):
            y[:, f] += bias[f]
    return y


def linear_loops(x, weight, bias=None):
    """y[n, f] = bias[f] + sum_c x[n, c] * weight[f, c]"""
    x = floating(x)
    y = np.zeros((len(x), len(weight)), x.dtype)
    for n, f in np.ndindex(y.shape):
        for c in range(x.shape[1]):
            y[n, f] += x[n, c] * weight[f, c]
        if bias is not None:
            y[n, f] += bias[f]
    return y


# --- pooling ------------------------------------------------------------------------------------------------


def pooled_size(n, k, s, p, d, ceil_mode):
    """The number of windows along one axis. With `ceil_mode` a last window that reaches over the edge counts too.

    A window that would start beyond the image and its left padding sees no pixel, so it does not count.
    """
    steps = (n + 2 * p - d * (k - 1) - 1) / s
    if not ceil_mode:
        return math.floor(steps) + 1
    size = math.ceil(steps) + 1
    return size - 1 if (size - 1) * s >= n + p else size


def max_pool2d_loops(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest pixel of each window, and its flat position W*u + v in the H x W plane.

    y[n, c, i, j] = max_{a, b} x[n, c, s*i + d*a - p, s*j + d*b - p]   over the taps inside the image

    If pixels are equal, the first in row-major order is taken. If a window holds NaN, its last NaN is taken.
    """
    (kh, kw), (ph, pw) = pair(kernel_size, "kernel_size", 1), pair(padding, "padding", 0)
    (sh, sw), (dh, dw) = pair(stride or kernel_size, "stride", 1), pair(dilation, "dilation", 1)
    N, C, H, W = x.shape
    oh, ow = pooled_size(H, kh, sh, ph, dh, ceil_mode), pooled_size(W, kw, sw, pw, dw, ceil_mode)
    y = np.zeros((N, C, oh, ow), x.dtype)
    indices = np.full(y.shape, -1, np.int64)  # -1: nothing seen yet
    for n, c, i, j in np.ndindex(y.shape):
        for a, b in np.ndindex(kh, kw):
            u, v = sh * i + dh * a - ph, sw * j + dw * b - pw
            if 0 <= u < H and 0 <= v < W:
                value = x[n, c, u, v]
                if indices[n, c, i, j] < 0 or value > y[n, c, i, j] or np.isnan(value):
                    y[n, c, i, j], indices[n, c, i, j] = value, W * u + v
    return y, indices


def avg_pool2d_loops(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window.

    y[n, c, i, j] = sum_{a, b} x[n, c, s*i + a - p, s*j + b - p] / count

    `count` is the number of taps on the image and, with `count_include_pad`, on its padding. With `ceil_mode` a
    window can reach beyond the padding; taps there are never counted.
    """
    x = floating(x)
    (kh, kw), (ph, pw) = pair(kernel_size, "kernel_size", 1), pair(padding, "padding", 0)
    sh, sw = pair(stride or kernel_size, "stride", 1)
    N, C, H, W = x.shape
    oh, ow = pooled_size(H, kh, sh, ph, 1, ceil_mode), pooled_size(W, kw, sw, pw, 1, ceil_mode)
    y = np.zeros((N, C, oh, ow), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        count = 0
        for a, b in np.ndindex(kh, kw):
            u, v = sh * i + a - ph, sw * j + b - pw
            on_image = 0 <= u < H and 0 <= v < W
            on_padding = not on_image and u < H + ph and v < W + pw
            if on_image:
                y[n, c, i, j] += x[n, c, u, v]
            count += on_image or (on_padding and count_include_pad)
        y[n, c, i, j] /= count
    return y


# --- upsampling ---------------------------------------------------------------------------------------------


def max_unpool2d_loops(x, indices, output_size):
    """Put each value back at the position of its maximum. All other pixels are zero.

    y[n, c].flat[indices[n, c, u, v]] = x[n, c, u, v]     (if several meet, the last in row-major order stays)
    """
    N, C, H, W = x.shape
    OH, OW = output_size
    y = np.zeros((N, C, OH, OW), x.dtype)
    for n, c, u, v in np.ndindex(N, C, H, W):
        i, j = divmod(indices[n, c, u, v], OW)
        y[n, c, i, j] = x[n, c, u, v]
    return y


def upsample_nearest_loops(x, scale):
    """Repeat each pixel over a cell: y[n, c, i, j] = x[n, c, i // scale, j // scale]"""
    sh, sw = pair(scale, "scale", 1)
    N, C, H, W = x.shape
    y = np.zeros((N, C, sh * H, sw * W), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        y[n, c, i, j] = x[n, c, i // sh, j // sw]
    return y


def bed_of_nails_loops(x, scale):
    """Put each pixel at the top left of a cell of zeros: y[n, c, scale*u, scale*v] = x[n, c, u, v]"""
    sh, sw = pair(scale, "scale", 1)
    N, C, H, W = x.shape
    y = np.zeros((N, C, sh * H, sw * W), x.dtype)
    for n, c, u, v in np.ndindex(x.shape):
        y[n, c, sh * u, sw * v] = x[n, c, u, v]
    return y


def pixel_shuffle_loops(x, upscale_factor):
    """Put the pixels of r*r channels side by side in a cell of r x r pixels, with r = upscale_factor.

    y[n, c, r*u + a, r*v + b] = x[n, c*r*r + a*r + b, u, v]
    """
    r = upscale_factor
    N, C, H, W = x.shape
    y = np.zeros((N, C // (r * r), r * H, r * W), x.dtype)
    for n, c, u, v, a, b in np.ndindex(N, C // (r * r), H, W, r, r):
        y[n, c, r * u + a, r * v + b] = x[n, c * r * r + a * r + b, u, v]
    return y


def bilinear_kernel_loops(size):
    """The bilinear kernel: 1 at its centre, less by 1/f for each pixel along an axis, with f = (size + 1) // 2.

    kernel[a, b] = (1 - |a - centre| / f) * (1 - |b - centre| / f),   centre = (size - 1) / 2

    For an even size the centre lies between two pixels, so no tap is exactly 1.
    """
    f, centre = (size + 1) // 2, (size - 1) / 2
    kernel = np.zeros((size, size))
    for a, b in np.ndindex(size, size):
        kernel[a, b] = (1 - abs(a - centre) / f) * (1 - abs(b - centre) / f)
    return kernel


def tent(a, size):
    """One factor of the bilinear kernel: kernel[a, b] = tent(a, kh) * tent(b, kw)."""
    f, centre = (size + 1) // 2, (size - 1) / 2
    return 1 - abs(a - centre) / f


def bilinear_upsample_loops(x, kernel_size, stride, padding=0):
    """A transposed convolution of each channel by itself. All channels have the same bilinear kernel.

    y[n, c, s*u + a - p, s*v + b - p] += x[n, c, u, v] * kernel[a, b]
    """
    x = floating(x)
    (kh, kw), (sh, sw) = pair(kernel_size, "kernel_size", 1), pair(stride, "stride", 1)
    ph, pw = pair(padding, "padding", 0)
    N, C, H, W = x.shape
    y = np.zeros((N, C, sh * (H - 1) + kh - 2 * ph, sw * (W - 1) + kw - 2 * pw), x.dtype)
    for n, c, u, v in np.ndindex(x.shape):
        for a, b in np.ndindex(kh, kw):
            i, j = sh * u + a - ph, sw * v + b - pw
            if 0 <= i < y.shape[2] and 0 <= j < y.shape[3]:
                y[n, c, i, j] += x[n, c, u, v] * tent(a, kh) * tent(b, kw)
    return y


def source_position(i, n_in, n_out, align_corners):
    """The position of output pixel i on the input's axis.

    With `align_corners` the centres of the first and last pixels of both grids coincide. Otherwise the outer edges
    of the grids coincide, and a position before the first centre is moved to this centre.
    """
    if align_corners:
        return i * (n_in - 1) / (n_out - 1) if n_out > 1 else 0.0
    return max((i + 0.5) * n_in / n_out - 0.5, 0.0)


def interpolate_bilinear_loops(x, size, align_corners=False):
    """Resample to (H, W) pixels. Each is a weighted mean of the four pixels around its source position.

    y[i, j] = (1-s)*(1-t)*x[u, v] + (1-s)*t*x[u, v+1] + s*(1-t)*x[u+1, v] + s*t*x[u+1, v+1]

    with source position (u + s, v + t), 0 <= s, t < 1. Beyond the border the last row or column is repeated.
    """
    x = floating(x)
    N, C, H, W = x.shape
    y = np.zeros((N, C, *pair(size, "size", 1)), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        row = source_position(i, H, y.shape[2], align_corners)
        column = source_position(j, W, y.shape[3], align_corners)
        u, v = min(int(row), H - 1), min(int(column), W - 1)
        down, right = min(u + 1, H - 1), min(v + 1, W - 1)
        s, t = row - u, column - v
        upper = (1 - t) * x[n, c, u, v] + t * x[n, c, u, right]
        lower = (1 - t) * x[n, c, down, v] + t * x[n, c, down, right]
        y[n, c, i, j] = (1 - s) * upper + s * lower
    return y


def crop_loops(x, offset, size):
    """A window of the image: y[n, c, i, j] = x[n, c, offset + i, offset + j]"""
    (top, left), (h, w) = pair(offset, "offset", 0), pair(size, "size", 1)
    y = np.zeros((*x.shape[:2], h, w), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        y[n, c, i, j] = x[n, c, top + i, left + j]
    return y


# --- pixel by pixel -----------------------------------------------------------------------------------------


def relu_loops(x):
    """y = x where x is positive, 0 elsewhere. A NaN stays NaN."""
    y = np.zeros(x.shape, x.dtype)
    for at in np.ndindex(x.shape):
        if not x[at] <= 0:
            y[at] = x[at]
    return y


def dropout_loops(x, mask, p):
    """y = x * mask / (1 - p): dropped values become 0, the others are scaled up so that the mean stays the same.

    mask is True where x is kept. It has x's shape, or (N, C) to keep or drop whole channels.
    """
    x = floating(x)
    y = np.zeros(x.shape, x.dtype)
    for at in np.ndindex(x.shape):
        if mask[at[: mask.ndim]]:
            y[at] = x[at] / (1 - p)
    return y


def local_response_norm_loops(x, size, alpha, beta, k):
    """Divide each value by a power of k plus the scaled sum of squares over `size` neighbouring channels.

    y[n, c] = x[n, c] / (k + alpha / size * sum_m x[n, m]**2) ** beta,   m = c - size//2 .. c + (size - 1)//2
    """
    x = floating(x)
    C = x.shape[1]
    y = np.zeros(x.shape, x.dtype)
    for n, c, i, j in np.ndindex(x.shape):
        squares = 0.0
        for m in range(max(c - size // 2, 0), min(c + (size - 1) // 2, C - 1) + 1):
            squares += float(x[n, m, i, j]) ** 2
        y[n, c, i, j] = x[n, c, i, j] / (k + alpha / size * squares) ** beta
    return y


# --- loss ---------------------------------------------------------------------------------------------------


def softmax_cross_entropy_loops(scores, labels, ignore_index=255, reduction="mean", weight=None, mask=None):
    """The softmax cross-entropy loss: a sum over the pixels that are not ignored.

    loss = sum_{pixel} w * (log sum_c exp(scores[c]) - scores[label]) / total, w = weight[label] * mask[pixel]

    `total` is the sum of w for "mean" and 1 for "sum". A pixel of weight 0 is left out, whatever its
    scores. If no pixel counts, the loss is 0. Only the loss is returned.
    Shapes: scores (N, C, ...), labels and mask (N, ...), weight (C,).
    """
    loss, total = 0.0, 0.0
    for at in np.ndindex(labels.shape):
        label = int(labels[at])
        if label == ignore_index:
            continue
        w = 1.0 if weight is None else float(weight[label])
        w *= 1.0 if mask is None else float(mask[at])
        if w == 0:
            continue
        s = [float(score) for score in scores[(at[0], slice(None), *at[1:])]]
        top = max(s)  # the same number is taken from all scores, so that exp cannot overflow
        loss += w * (top + math.log(sum(math.exp(score - top) for score in s)) - s[label])
        total += w
    if reduction == "sum":
        return loss
    return loss / total if total else 0.0
