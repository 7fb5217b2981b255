"""The pixels under a sliding window, one tap at a time. Convolution and pooling both use this.

A kernel of kh x kw taps slides over the padded image. For one tap (a, b), the pixels under it at all positions form a
map as large as the output. A convolution computes the weighted sum of these maps. A max-pool takes their maximum.
"""

from fcn_from_scratch.backend import get_array_module


def pad(x, padding, value=0, extra=(0, 0)):
    """x (N, C, H, W) with a border of `value`: `padding` (rows, columns) on each side, and `extra` more at the end."""
    (ph, pw), (eh, ew), (n, c, h, w) = padding, extra, x.shape
    padded = get_array_module(x).full((n, c, h + 2 * ph + eh, w + 2 * pw + ew), value, x.dtype)
    padded[:, :, ph : ph + h, pw : pw + w] = x
    return padded


def taps(padded, geometry):
    """Yield, for each tap (a, b) of the window in row-major order, the pixels under it: a view (N, C, oh, ow).

    pixels[n, c, i, j] = padded[n, c, s*i + d*a, s*j + d*b]

    Because it is a view, adding to `pixels` adds to `padded`. This is how a backward adds gradients to the pixels.
    """
    (kh, kw), (sh, sw), _, (dh, dw), _, (oh, ow) = geometry
    for a in range(kh):
        for b in range(kw):
            rows = slice(dh * a, dh * a + sh * (oh - 1) + 1, sh)
            columns = slice(dw * b, dw * b + sw * (ow - 1) + 1, sw)
            yield padded[:, :, rows, columns]
