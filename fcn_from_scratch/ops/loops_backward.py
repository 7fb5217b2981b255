"""The gradient of every op as plain loops: the backward of each function in ops.loops.

dy is the gradient of the loss with respect to y, and dx the gradient with respect to x: dx[...] = sum over all outputs
of dy[...] * (derivative of y[...] with respect to x[...]). Most functions run through the loops of their forward
again. Where the forward has

    y[...] += x[...] * weight[...]

the backward has dx[...] += dy[...] * weight[...] and dweight[...] += dy[...] * x[...]. The letters mean the same
as in ops.loops, and the arguments are not checked here either. tests/ops/test_loops_backward.py compares each function
with finite differences of its forward, with PyTorch and with the fast op.
"""

import math

import numpy as np

from fcn_from_scratch.checks import floating, pair
from fcn_from_scratch.ops.loops import source_position, tent

# --- convolution --------------------------------------------------------------------------------------------


def conv2d_backward_loops(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """(dx, dweight, dbias): each tap adds to the gradients of its pixel and of its weight.

    dx[n, g + c, s*i + d*a - p, s*j + d*b - p] += dy[n, f, i, j] * weight[f, c, a, b]
    dweight[f, c, a, b] += dy[n, f, i, j] * x[n, g + c, s*i + d*a - p, s*j + d*b - p]
    dbias[f] += dy[n, f, i, j]

    where g is the first channel of the group that f belongs to.
    """
    (sh, sw), (ph, pw) = pair(stride, "stride", 1), pair(padding, "padding", 0)
    dh, dw = pair(dilation, "dilation", 1)
    H, W = x.shape[2:]
    F, per_group, kh, kw = weight.shape
    dx, dweight, dbias = (np.zeros(shape, dy.dtype) for shape in (x.shape, weight.shape, F))
    for n, f, i, j in np.ndindex(dy.shape):
        g = f // (F // groups) * per_group
        for c, a, b in np.ndindex(per_group, kh, kw):
            u, v = sh * i + dh * a - ph, sw * j + dw * b - pw
            if 0 <= u < H and 0 <= v < W:
                dx[n, g + c, u, v] += dy[n, f, i, j] * weight[f, c, a, b]
                dweight[f, c, a, b] += dy[n, f, i, j] * x[n, g + c, u, v]
        dbias[f] += dy[n, f, i, j]
    return dx, dweight, dbias


def conv_transpose2d_backward_loops(dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """(dx, dweight, dbias): each pixel sums the gradient under its copy of the kernel.

    dx[n, c, u, v] += dy[n, g + f, s*u + d*a - p, s*v + d*b - p] * weight[c, f, a, b]
    dweight[c, f, a, b] += dy[n, g + f, s*u + d*a - p, s*v + d*b - p] * x[n, c, u, v]
    dbias[f] += dy[n, f, i, j]

    where g is the first output channel of the group that c belongs to. dy already has the size that
    `output_padding` asks for.
    """
    (sh, sw), (ph, pw) = pair(stride, "stride", 1), pair(padding, "padding", 0)
    dh, dw = pair(dilation, "dilation", 1)
    F, oh, ow = dy.shape[1:]
    C, per_group, kh, kw = weight.shape
    dx, dweight, dbias = (np.zeros(shape, dy.dtype) for shape in (x.shape, weight.shape, F))
    for n, c, u, v in np.ndindex(x.shape):
        g = c // (C // groups) * per_group
        for f, a, b in np.ndindex(per_group, kh, kw):
            i, j = sh * u + dh * a - ph, sw * v + dw * b - pw
            if 0 <= i < oh and 0 <= j < ow:
                dx[n, c, u, v] += dy[n, g + f, i, j] * weight[c, f, a, b]
                dweight[c, f, a, b] += dy[n, g + f, i, j] * x[n, c, u, v]
    for n, f, i, j in np.ndindex(dy.shape):
        dbias[f] += dy[n, f, i, j]
    return dx, dweight, dbias


def linear_backward_loops(dy, x, weight):
    """dx[n, c] += dy[n, f] * weight[f, c],   dweight[f, c] += dy[n, f] * x[n, c],   dbias[f] += dy[n, f]"""
    dx, dweight, dbias = (np.zeros(shape, dy.dtype) for shape in (x.shape, weight.shape, len(weight)))
    for n, f in np.ndindex(dy.shape):
        for c in range(x.shape[1]):
            dx[n, c] += dy[n, f] * weight[f, c]
            dweight[f, c] += dy[n, f] * x[n, c]
        dbias[f] += dy[n, f]
    return dx, dweight, dbias


# --- pooling ------------------------------------------------------------------------------------------------


def max_pool2d_backward_loops(dy, indices, x_shape):
    """Only the largest pixel of a window has a gradient: dx[n, c].flat[indices[n, c, i, j]] += dy[n, c, i, j]"""
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        u, v = divmod(indices[n, c, i, j], x_shape[3])
        dx[n, c, u, v] += dy[n, c, i, j]
    return dx


def avg_pool2d_backward_loops(
    dy, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """Each pixel of a window gets an equal share.

    dx[n, c, s*i + a - p, s*j + b - p] += dy[n, c, i, j] / count

    `count` is the forward's: the taps on the image and, with `count_include_pad`, on its padding.
    """
    (kh, kw), (ph, pw) = pair(kernel_size, "kernel_size", 1), pair(padding, "padding", 0)
    sh, sw = pair(stride or kernel_size, "stride", 1)
    H, W = x_shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        pixels, count = [], 0
        for a, b in np.ndindex(kh, kw):
            u, v = sh * i + a - ph, sw * j + b - pw
            on_image = 0 <= u < H and 0 <= v < W
            on_padding = not on_image and u < H + ph and v < W + pw
            if on_image:
                pixels.append((u, v))
            count += on_image or (on_padding and count_include_pad)
        for u, v in pixels:
            dx[n, c, u, v] += dy[n, c, i, j] / count
    return dx


# --- upsampling ---------------------------------------------------------------------------------------------


def max_unpool2d_backward_loops(dy, indices):
    """Each value gets the gradient of the pixel where it was put: dx[n, c, u, v] = dy[n, c].flat[indices[n, c, u, v]]

    If several values met at one pixel, the forward kept the last one, but each of them gets the gradient, as in
    PyTorch. This is not the derivative of the forward. It cannot happen if pooling windows do not overlap.
    """
    dx = np.zeros(indices.shape, dy.dtype)
    for n, c, u, v in np.ndindex(dx.shape):
        i, j = divmod(indices[n, c, u, v], dy.shape[3])
        dx[n, c, u, v] = dy[n, c, i, j]
    return dx


def upsample_nearest_backward_loops(dy, scale):
    """Each pixel gets the sum over its cell: dx[n, c, i // scale, j // scale] += dy[n, c, i, j]"""
    sh, sw = pair(scale, "scale", 1)
    N, C, oh, ow = dy.shape
    dx = np.zeros((N, C, oh // sh, ow // sw), dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        dx[n, c, i // sh, j // sw] += dy[n, c, i, j]
    return dx


def bed_of_nails_backward_loops(dy, scale):
    """Each pixel gets the gradient at the top left of its cell: dx[n, c, u, v] = dy[n, c, scale*u, scale*v]"""
    sh, sw = pair(scale, "scale", 1)
    N, C, oh, ow = dy.shape
    dx = np.zeros((N, C, oh // sh, ow // sw), dy.dtype)
    for n, c, u, v in np.ndindex(dx.shape):
        dx[n, c, u, v] = dy[n, c, sh * u, sw * v]
    return dx


def pixel_shuffle_backward_loops(dy, upscale_factor):
    """Each pixel goes back to its channel: dx[n, c*r*r + a*r + b, u, v] = dy[n, c, r*u + a, r*v + b]"""
    r = upscale_factor
    N, C, oh, ow = dy.shape
    dx = np.zeros((N, C * r * r, oh // r, ow // r), dy.dtype)
    for n, c, u, v, a, b in np.ndindex(N, C, oh // r, ow // r, r, r):
        dx[n, c * r * r + a * r + b, u, v] = dy[n, c, r * u + a, r * v + b]
    return dx


def bilinear_upsample_backward_loops(dy, x_shape, kernel_size, stride, padding=0):
    """Each pixel sums the gradient under its copy of the bilinear kernel.

    dx[n, c, u, v] += dy[n, c, s*u + a - p, s*v + b - p] * kernel[a, b]
    """
    (kh, kw), (sh, sw) = pair(kernel_size, "kernel_size", 1), pair(stride, "stride", 1)
    ph, pw = pair(padding, "padding", 0)
    oh, ow = dy.shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, u, v in np.ndindex(dx.shape):
        for a, b in np.ndindex(kh, kw):
            i, j = sh * u + a - ph, sw * v + b - pw
            if 0 <= i < oh and 0 <= j < ow:
                dx[n, c, u, v] += dy[n, c, i, j] * tent(a, kh) * tent(b, kw)
    return dx


def interpolate_bilinear_backward_loops(dy, x_shape, align_corners=False):
    """Each output divides its gradient among its four pixels, with the weights of the forward.

    dx[u, v] += (1-s)*(1-t)*dy[i, j],   dx[u, v+1] += (1-s)*t*dy[i, j]   and so on

    with source position (u + s, v + t). At the last row or column the repeated pixel gets both shares.
    """
    H, W = x_shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        row = source_position(i, H, dy.shape[2], align_corners)
        column = source_position(j, W, dy.shape[3], align_corners)
        u, v = min(int(row), H - 1), min(int(column), W - 1)
        down, right = min(u + 1, H - 1), min(v + 1, W - 1)
        s, t = row - u, column - v
        dx[n, c, u, v] += (1 - s) * (1 - t) * dy[n, c, i, j]
        dx[n, c, u, right] += (1 - s) * t * dy[n, c, i, j]
        dx[n, c, down, v] += s * (1 - t) * dy[n, c, i, j]
        dx[n, c, down, right] += s * t * dy[n, c, i, j]
    return dx


def crop_backward_loops(dy, x_shape, offset):
    """The window goes back to its place. The rest is zero: dx[n, c, offset + i, offset + j] = dy[n, c, i, j]"""
    top, left = pair(offset, "offset", 0)
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        dx[n, c, top + i, left + j] = dy[n, c, i, j]
    return dx


# --- pixel by pixel -----------------------------------------------------------------------------------------


def relu_backward_loops(dy, y):
    """dx = dy where y is positive, 0 elsewhere. y is the forward's output."""
    dx = np.zeros(dy.shape, dy.dtype)
    for at in np.ndindex(dy.shape):
        if y[at] > 0:
            dx[at] = dy[at]
    return dx


def dropout_backward_loops(dy, mask, p):
    """dx = dy * mask / (1 - p)"""
    dx = np.zeros(dy.shape, dy.dtype)
    for at in np.ndindex(dy.shape):
        if mask[at[: mask.ndim]]:
            dx[at] = dy[at] / (1 - p)
    return dx


def local_response_norm_backward_loops(dy, x, size, alpha, beta, k):
    """Each output channel c depends on its own x, and on each x[m] in its sum of squares.

    dx[n, c] += dy[n, c] / strength**beta
    dx[n, m] -= dy[n, c] * x[n, c] * beta / strength**(beta + 1) * alpha / size * 2 * x[n, m]

    with strength = k + alpha / size * sum_m x[n, m]**2 and m = c - size//2 .. c + (size - 1)//2.
    """
    x = floating(x)
    C = x.shape[1]
    dx = np.zeros(x.shape, dy.dtype)
    for n, c, i, j in np.ndindex(x.shape):
        window = range(max(c - size // 2, 0), min(c + (size - 1) // 2, C - 1) + 1)
        strength = k + alpha / size * sum(float(x[n, m, i, j]) ** 2 for m in window)
        dx[n, c, i, j] += dy[n, c, i, j] / strength**beta
        for m in window:
            by_square = -dy[n, c, i, j] * x[n, c, i, j] * beta / strength ** (beta + 1) * alpha / size
            dx[n, m, i, j] += by_square * 2 * x[n, m, i, j]
    return dx


# --- loss ---------------------------------------------------------------------------------------------------


def softmax_cross_entropy_backward_loops(scores, labels, ignore_index=255, reduction="mean", weight=None, mask=None):
    """The gradient of the loss with respect to the scores: the probabilities, minus one at the label.

    dscores[c] = w * (exp(scores[c]) / sum_m exp(scores[m]) - [c == label]) / total, w = weight[label] * mask[pixel]

    `total` is the sum of w for "mean" and 1 for "sum". A pixel that does not count gets 0, whatever its scores.
    """
    scores = floating(scores)
    dscores, total = np.zeros(scores.shape, scores.dtype), 0.0
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
        whole = sum(math.exp(score - top) for score in s)
        for c, score in enumerate(s):
            dscores[(at[0], c, *at[1:])] = w * (math.exp(score - top) / whole - (c == label))
        total += w
    return dscores / total if reduction == "mean" and total else dscores
