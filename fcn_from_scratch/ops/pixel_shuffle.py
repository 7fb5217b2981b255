"""Pixel shuffle: rearrange channels into a finer grid, without multiplications."""

from fcn_from_scratch import checks


def pixel_shuffle(x, upscale_factor):
    """Put the pixels of r*r channels side by side in a cell of r x r pixels, with r = upscale_factor.

    y[n, c, r*i + a, r*j + b] = x[n, c*r*r + a*r + b, i, j]

    A convolution before it computes one channel for each position in the cell. Together they equal a transposed
    convolution, whose kernel is at most one cell larger than r times that of the convolution.
    Shapes: x (N, C*r*r, H, W). Returns: (N, C, r*H, r*W).
    Identity: pixel_shuffle_backward undoes it exactly  (tests/ops/test_pixel_shuffle.py).
    Raises: ValueError when r*r does not divide the channels.
    Source: Shi et al. 2016, Real-time single image and video super-resolution using an efficient sub-pixel CNN.
    """
    r = _factor(x, "x", upscale_factor)
    n, c, h, w = x.shape
    if c % (r * r):
        raise ValueError(f"pixel_shuffle makes one channel of {r * r} (upscale_factor {r}); x has {c} channels")
    cells = x.reshape(n, c // (r * r), r, r, h, w)
    return cells.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // (r * r), h * r, w * r)


def pixel_shuffle_backward(dy, upscale_factor):
    """Give each gradient back to the channel that its pixel came from.

    dx[n, c*r*r + a*r + b, i, j] = dy[n, c, r*i + a, r*j + b]

    Shapes: dy (N, C, r*H, r*W). Returns: dx (N, C*r*r, H, W).
    Identity: equals ops.loops_backward.pixel_shuffle_backward_loops  (tests/ops/test_pixel_shuffle.py).
    Raises: ValueError when dy's size is not a multiple of r.
    """
    r = _factor(dy, "dy", upscale_factor)
    n, c, h, w = dy.shape
    if h % r or w % r:
        raise ValueError(f"dy's size must be a multiple of upscale_factor {r}; got {h}x{w}")
    cells = dy.reshape(n, c, h // r, r, w // r, r)
    return cells.transpose(0, 1, 3, 5, 2, 4).reshape(n, c * r * r, h // r, w // r)


def _factor(array, name, upscale_factor):
    checks.ndim(array, 4, name, "(N, C, H, W)")
    return checks.integer(upscale_factor, "upscale_factor", 1)
