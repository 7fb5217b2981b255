"""Bands of Winograd's tiles: from rows of an image to 36 matrices, and back.

A band is some tile rows of one image, or several whole small images. Its matrices fit the processor's cache.
Its arrays are indexed [column frequency, row frequency, image, tile row, tile column, channel].
"""

import math
from typing import NamedTuple

from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.pooling import relu_pool
from fcn_from_scratch.engine.winograd_transforms import (
    INPUTS,
    OUTPUTS,
    transform_input,
    transform_output,
    transform_output_adjoint,
)

FREQUENCIES = INPUTS * INPUTS
WIDE = 256  # channels; from here on tall matrices speed up the GEMMs more than they slow down the transforms
NARROW_BYTES, WIDE_BYTES = 4 << 20, 16 << 20  # of one band: one matrix for each frequency


class Band(NamedTuple):
    """Some tile rows of some images (both slices), and the number of tiles in a row."""

    images: slice
    rows: slice
    columns: int

    @property
    def shape(self):
        """(images, tile rows, tile columns)"""
        return self.images.stop - self.images.start, self.rows.stop - self.rows.start, self.columns

    @property
    def tiles(self):
        images, rows, columns = self.shape
        return images * rows * columns


class Scratch:
    """A thread's work arrays, kept by name and reused for its next band.

    In the functions below each step reads "a" and writes "b", or reads "b" and writes "a". So they touch few bytes,
    which stay in the cache.
    """

    def __init__(self, empty, dtype):
        self.empty, self.dtype = empty, dtype
        self.flat = {}

    def take(self, name, *shape):
        """The array of this name, with this shape. Its content is undefined: the old content is lost."""
        size = math.prod(shape)
        if name not in self.flat or self.flat[name].size < size:
            self.flat[name] = self.empty((size,), self.dtype)
        return self.flat[name][:size].reshape(shape)


def bands(images, oh, ow, c, f, itemsize):
    """Cut all tiles of `images` outputs of size (oh, ow) into bands of about equal size.

    The number of bands is a multiple of threads.shares() where possible.
    """
    rows, columns = -(-oh // OUTPUTS), -(-ow // OUTPUTS)
    budget = NARROW_BYTES if c < WIDE else WIDE_BYTES
    row_bytes = FREQUENCIES * columns * (c + f) / 2 * itemsize
    at_once = max(int(min(budget / row_bytes, -(-images * rows // threads.shares()))), 1)
    if at_once >= rows:
        return [Band(part, slice(0, rows), columns) for part in _even(images, at_once // rows)]
    return [Band(slice(n, n + 1), part, columns) for n in range(images) for part in _even(rows, at_once)]


def _even(total, most):
    """Cut 0..total into about equal slices of at most `most`: if possible, a multiple of threads.shares()."""
    shares = threads.shares()
    return threads.split(total, -(-total // (most * shares)) * shares)


def input_tiles(xp, source, band, padding, out, scratch):
    """Compute B^T d B of every 6x6 tile of the band, into out (36, tiles, C). The tiles lie 4 pixels apart.

    source is (N, H, W, C). Pixels outside it are zero; `padding` rows and columns of them lie before the first tile.
    """
    (m, n, columns), (ph, pw), c = band.shape, padding, source.shape[3]
    rows = _rows(xp, source[band.images], OUTPUTS * band.rows.start - ph, OUTPUTS * n + 2)
    width = source.shape[2]
    vertical = scratch.take("a", INPUTS, m, n, width, c)
    transform_input(
        xp,
        [_every_fourth(rows, i, n) for i in range(INPUTS)],
        vertical.reshape(INPUTS, m, n, width * c),
        scratch.take("b", 3, m, n, width * c),
    )
    phases = _phases(vertical, pw, scratch.take("b", OUTPUTS, INPUTS, m, n, columns + 1, c))
    transform_input(
        xp,
        [phases[j, ..., :columns, :] for j in range(OUTPUTS)] + [phases[j, ..., 1:, :] for j in (0, 1)],
        out.reshape(INPUTS, INPUTS, m, n, columns, c),
        scratch.take("a", 3, INPUTS, m, n, columns, c),
    )


def gradient_tiles(xp, source, band, out, scratch):
    """Compute A dy A^T of every 4x4 tile of the band, into out (36, tiles, F). source is (N, oh, ow, F)."""
    (m, n, columns), (width, f) = band.shape, source.shape[2:]
    rows = _rows(xp, source[band.images], OUTPUTS * band.rows.start, OUTPUTS * n)
    vertical = scratch.take("a", INPUTS, m, n, width, f)
    transform_output_adjoint(
        xp,
        [_every_fourth(rows, i, n) for i in range(OUTPUTS)],
        vertical.reshape(INPUTS, m, n, width * f),
        scratch.take("b", 2, m, n, width * f),
    )
    phases = _phases(vertical, 0, scratch.take("b", OUTPUTS, INPUTS, m, n, columns, f))
    transform_output_adjoint(
        xp, phases, out.reshape(INPUTS, INPUTS, m, n, columns, f), scratch.take("a", 2, INPUTS, m, n, columns, f)
    )


def output_tiles(xp, products, band, scratch):
    """Compute A^T m A of every tile from products (36, tiles, F).

    Returns: (4, 4, images, tile rows, tile columns, F). The first two axes are row and column in the tile.
    """
    f = products.shape[2]
    products = products.reshape(INPUTS, INPUTS, band.tiles * f)
    half = scratch.take("a", OUTPUTS, INPUTS, band.tiles * f)
    transform_output(xp, products, half, scratch.take("b", 3, INPUTS, band.tiles * f))
    whole = scratch.take("b", OUTPUTS, OUTPUTS, band.tiles * f)
    spare = scratch.take("c", 3, OUTPUTS, band.tiles * f)
    transform_output(xp, [half[:, a] for a in range(INPUTS)], whole, spare)
    return whole.reshape(OUTPUTS, OUTPUTS, *band.shape, f)


def write_tiles(xp, tiles, band, y, relu=False):
    """Write the tiles of a band into y (N, oh, ow, F). Pixels outside y are dropped.

    relu   write max(tile, 0) instead
    """
    part = y[band.images, OUTPUTS * band.rows.start : OUTPUTS * band.rows.stop]
    for i in range(OUTPUTS):
        for j in range(OUTPUTS):
            target = part[:, i::OUTPUTS, j::OUTPUTS]
            pixels = tiles[i, j, :, : target.shape[1], : target.shape[2]]
            if relu:
                xp.maximum(pixels, 0, out=target)
            else:
                target[...] = pixels


def write_pooled(xp, tiles, band, size, y, winner):
    """Write max(pool(tiles), 0) into y (N, ph, pw, F): a 2x2 max-pool, at stride 2, of the output of `size` (oh, ow).

    winner (like y, uint8) gets the place 2a + b of each window's first largest pixel, or 4 or more if none is positive.
    The tiles are overwritten.
    """
    below, beyond = size[0] - OUTPUTS * (band.rows.stop - 1), size[1] - OUTPUTS * (band.columns - 1)
    tiles[below:, :, :, -1] = -math.inf  # pixels outside the output never win
    tiles[:, beyond:, :, :, -1] = -math.inf
    half = OUTPUTS // 2
    windows = xp.moveaxis(tiles.reshape(half, 2, half, 2, *tiles.shape[2:]), (1, 3), (0, 1))
    largest, place = relu_pool(xp, windows)
    for whole, parts in ((y, largest), (winner, place)):
        part = whole[band.images, half * band.rows.start : half * band.rows.stop]
        for i in range(half):
            for j in range(half):
                target = part[:, i::half, j::half]
                target[...] = parts[i, j, :, : target.shape[1], : target.shape[2]]


def _rows(xp, source, first, count):
    """The rows first ... first + count - 1 of images (m, H, W, C), as (m, count, W * C). Rows outside are zero."""
    m, h, w, c = source.shape
    if first >= 0 and first + count <= h:
        return source[:, first : first + count].reshape(m, count, w * c)
    rows = xp.zeros((m, count, w * c), source.dtype)
    low, high = max(first, 0), min(first + count, h)
    if low < high:
        rows[:, low - first : high - first] = source[:, low:high].reshape(m, high - low, w * c)
    return rows


def _every_fourth(rows, start, count):
    return rows[:, start : start + OUTPUTS * (count - 1) + 1 : OUTPUTS]


def _phases(vertical, padding, out):
    """Sort columns by their place in a tile. Columns outside the image are zero.

    out[j, ..., t, :] = vertical[..., 4t + j - padding, :]
    """
    for j in range(OUTPUTS):
        low = max(-(-(padding - j) // OUTPUTS), 0)  # the first tile whose column j lies in the image
        found = vertical[..., OUTPUTS * low + j - padding :: OUTPUTS, :][..., : out.shape[-2] - low, :]
        high = low + found.shape[-2]
        out[j, ..., :low, :] = 0
        out[j, ..., low:high, :] = found
        out[j, ..., high:, :] = 0
    return out
