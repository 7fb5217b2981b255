"""Exercise 2.2, change: compute the layer in blocks.

The patch matrix of a large image does not fit into memory. Compute it a few output rows at
a time.

Write `conv_in_blocks(x, weight, rows, product)` for an image x (C, H, W) and weight (F, C,
kh, kw), at stride 1 without padding. It returns y (F, oh, ow). Each matrix product must be
computed as `product(patches, weights)`. This function returns `patches @ weights`, but it
refuses a patch matrix of more than `rows` output rows. `rows` need not divide oh.

Output row i reads the image rows i to i + kh - 1. Which image rows do output rows top to
top + rows - 1 read?
"""

import numpy as np


def conv_in_blocks(x, weight, rows, product):
    """The layer with a patch matrix of at most `rows` output rows at a time."""
    # BEGIN SOLUTION
    f, c, kh, kw = weight.shape
    oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    y = np.empty((f, oh, ow), x.dtype)
    for top in range(0, oh, rows):
        strip = x[
            :, top : top + rows + kh - 1
        ]  # the last kh - 1 rows are read again by the next block
        height = strip.shape[1] - kh + 1  # the last block may be smaller
        patches = np.empty((height, ow, c, kh, kw), x.dtype)
        for a, b in np.ndindex(kh, kw):
            patches[..., a, b] = strip[:, a : a + height, b : b + ow].transpose(1, 2, 0)
        result = product(patches.reshape(height * ow, -1), weight.reshape(f, -1).T)
        y[:, top : top + height] = result.T.reshape(f, height, ow)
    return y
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def _limited(most):
    """A matrix product that refuses more than `most` rows."""

    def product(patches, weights):
        if len(patches) > most:
            raise ValueError(
                f"the patch matrix has {len(patches)} rows; at most {most} are allowed here"
            )
        return patches @ weights

    return product


def cases(rng):
    sizes = [
        ((3, 8, 6), (4, 3, 3, 2), 2),
        ((2, 7, 9), (3, 2, 2, 4), 4),
        ((1, 5, 5), (2, 1, 1, 3), 9),
    ]
    return [
        (
            rng.normal(size=image),
            rng.normal(size=weight),
            rows,
            _limited(rows * (image[2] - weight[3] + 1)),
        )
        for image, weight, rows in sizes
    ]


def expected(x, weight, rows, product):
    f, _, kh, kw = weight.shape
    y = np.zeros((f, x.shape[1] - kh + 1, x.shape[2] - kw + 1))
    for k, i, j in np.ndindex(y.shape):
        y[k, i, j] = (x[:, i : i + kh, j : j + kw] * weight[k]).sum()
    return y


def _last_block_missing(x, weight, rows, product):
    y = expected(x, weight, rows, product)
    y[:, y.shape[1] // rows * rows :] = 0
    return y


def _rotated(x, weight, rows, product):
    return expected(x, weight[..., ::-1, ::-1], rows, product)


def _other_columns(x, weight, rows, product):
    """The columns are (a, b, c), the weights (c, a, b)."""
    f, c, kh, kw = weight.shape
    return expected(x, weight.reshape(f, kh, kw, c).transpose(0, 3, 1, 2), rows, product)


MISTAKES = {
    "the last block is missing. It has fewer rows if `rows` does not divide the output's height": _last_block_missing,
    "the kernel is rotated. A convolution layer computes a correlation: x[i + a, j + b] * weight[a, b]": _rotated,
    "the columns of the patches and the weights are in different orders. Both should be (c, a, b)": _other_columns,
}
