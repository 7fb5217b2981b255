"""Bands of Winograd's tiles: from rows of an image to 36 matrices, and back.

A band is some tile rows of one image, or several whole small images. It has enough tiles to keep the matrix products
fast. The transforms read and write each number several times. So they take a part of the band at a time, which stays in
the processor's cache. Arrays are indexed [column frequency, row frequency, image, tile row, tile column, channel].
"""

import math
from typing import NamedTuple

from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import C, H, N, W, strided
from fcn_from_scratch.engine.pixelwise import rectify
from fcn_from_scratch.engine.pooling import relu_pool
from fcn_from_scratch.engine.winograd_transforms import INPUTS, OUTPUT, OUTPUTS

FREQUENCIES = INPUTS * INPUTS
MEAN = 7  # frequency (1, 1), of point 1 in both axes: there A is all ones. What is added here reaches every output
TILES = 512  # of a band; with fewer, threads wait for each other, and BLAS copies the kernel for too few rows
BAND_BYTES = 40 << 20  # of a band at most: both its matrices for each frequency
PART_BYTES = 8 << 20  # of a part: one matrix for each frequency
AT_ONCE = 1 << 14  # columns in one product of a transform


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
    """A thread's work arrays, kept by name and reused for its next band."""

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
    """Cut all tiles of `images` outputs of size (oh, ow) into bands of about equal size. If the last image has many,
    its last bands are half as large (threads.tapered).

    The number of bands is a multiple of threads.shares() where possible.
    """
    rows, columns = -(-oh // OUTPUTS), -(-ow // OUTPUTS)
    tiles = min(TILES, BAND_BYTES // (FREQUENCIES * (c + f) * itemsize))
    at_once = max(min(tiles // columns, -(-images * rows // threads.shares())), 1)
    return _cut(slice(0, images), slice(0, rows), columns, at_once, threads.shares())


def parts(band, channels, itemsize):
    """Cut a band once more. Yields each part, a Band, and the place of its tiles among those of the whole band."""
    at_once = max(PART_BYTES // (FREQUENCIES * band.columns * channels * itemsize), 1)
    start = 0
    for part in _cut(band.images, band.rows, band.columns, at_once):
        yield part, slice(start, start + part.tiles)
        start += part.tiles


def _cut(images, rows, columns, at_once, multiple=1):
    """Cut images and their tile rows into Bands of at most `at_once` rows: if possible, a multiple of `multiple`."""
    height = rows.stop - rows.start
    if at_once >= height:
        return [Band(part, rows, columns) for part in _even(images, at_once // height, multiple, multiple > 1)]
    found = []
    for n in range(images.start, images.stop):
        at_the_end = multiple > 1 and n == images.stop - 1
        found += [Band(slice(n, n + 1), part, columns) for part in _even(rows, at_once, multiple, at_the_end)]
    return found


def _even(place, most, multiple, at_the_end):
    """Cut a slice into about equal slices of at most `most`: if possible, a multiple of `multiple`.

    at_the_end   nothing follows, so the last slices are smaller: threads.tapered
    """
    length = place.stop - place.start
    cut = (threads.tapered if at_the_end else threads.split)(length, -(-length // (most * multiple)) * multiple)
    return [slice(place.start + part.start, place.start + part.stop) for part in cut]


def pixels_last(x, dtype):
    """x (N, C, H, W) indexed as (N, H, W, C). Each thread makes the part for its own band contiguous."""
    return x.transpose(0, 2, 3, 1).astype(dtype, copy=False)


def tiles_of(xp, matrix, source, band, padding, out, scratch, beyond=None):
    """Compute matrix d matrix^T for every tile d of the band, into out (36, tiles, C). The tiles lie 4 pixels apart.

    matrix   INPUT, for tiles of 6x6 pixels, or the transpose of OUTPUT, for tiles of 4x4
    source   (N, H, W, C). The first tile begins `padding` rows and columns before it
    beyond   the values (C,) of the pixels outside the source; None: zeros
    Both axes are one matrix product each: first over whole rows of the image, then over the columns of each tile.
    """
    (m, n, columns), (ph, pw), (width, c) = band.shape, padding, source.shape[2:]
    frequencies, side = matrix.shape
    matrix = xp.asarray(matrix.astype(out.dtype, order="C"))
    high, wide = (OUTPUTS * (count - 1) + side for count in (n, columns))
    rows = _rows(source[band.images], OUTPUTS * band.rows.start - ph, high, scratch, beyond)
    lines = strided(rows, 0, ((N, m, 1), (H, n, OUTPUTS), (H, side, 1), (W, width, 1), (C, c, 1)))
    vertical = scratch.take("a", frequencies, m, n, wide, c)
    sides = 0 if beyond is None else (matrix @ xp.broadcast_to(beyond, (side, c)))[:, None, None, None]
    vertical[:, :, :, :pw] = sides
    vertical[:, :, :, pw + width :] = sides
    inside = vertical[:, :, :, pw : pw + width].reshape(frequencies, m, n, width * c)
    _product(xp, matrix, lines.reshape(m, n, side, width * c), inside.transpose(1, 2, 0, 3))
    places = (0, frequencies, 1), (1, m, 1), (2, n, 1), (3, columns, OUTPUTS), (3, side, 1), (4, c, 1)
    out = out.reshape(frequencies, frequencies, m, n, columns, c).transpose(1, 2, 3, 4, 0, 5)
    xp.matmul(matrix, strided(vertical, 0, places), out=out)


def output_tiles(xp, products, band, scratch):
    """Compute A^T m A of every tile from products (36, tiles, F).

    Returns: (4, 4, images, tile rows, tile columns, F). The first two axes are row and column in the tile.
    """
    f = products.shape[2]
    matrix = xp.asarray(OUTPUT.astype(products.dtype, order="C"))
    half = scratch.take("a", INPUTS, OUTPUTS, band.tiles * f)  # [row frequency, column in the tile, ...]
    _product(xp, matrix, products.reshape(INPUTS, INPUTS, -1).swapaxes(0, 1), half)
    whole = scratch.take("b", OUTPUTS, OUTPUTS, band.tiles * f)
    _product(xp, matrix, half.swapaxes(0, 1), whole.swapaxes(0, 1))
    return whole.reshape(OUTPUTS, OUTPUTS, *band.shape, f)


def _product(xp, matrix, x, out):
    """Compute matrix @ x, some columns at a time: of small products BLAS makes no copies."""
    for start in range(0, x.shape[-1], AT_ONCE):
        columns = slice(start, start + AT_ONCE)
        xp.matmul(matrix, x[..., columns], out=out[..., columns])


def write_tiles(tiles, band, y, relu=False):
    """Write the tiles of a band, (t, t, images, tile rows, tile columns, F), into y (N, oh, ow, F).

    Pixels outside y are dropped.
    relu   write max(tile, 0) instead
    """
    side, count = len(tiles), band.shape[0]
    part = y[band.images, side * band.rows.start : side * band.rows.stop]
    tiles = tiles.transpose(2, 3, 0, 4, 1, 5)  # in the order of y
    for rows, (high, height) in _whole_and_cut(part.shape[1], side):
        for columns, (wide, width) in _whole_and_cut(part.shape[2], side):
            places = (
                (N, count, 1),
                (H, high, height),
                (H, height, 1),
                (W, wide, width),
                (W, width, 1),
                (C, y.shape[3], 1),
            )
            target = strided(part[:, rows, columns], 0, places)
            first, left = rows.start // side, columns.start // side
            pixels = tiles[:, first : first + high, :height, left : left + wide, :width]
            if relu:
                rectify(pixels, target)
            else:
                target[...] = pixels


def _whole_and_cut(length, side):
    """Cut 0..length into its whole tiles and the tile that is cut off: (slice, (tiles, pixels of each))."""
    whole = length // side * side
    parts = (slice(0, whole), (whole // side, side)), (slice(whole, length), (1, length - whole))
    return [(place, tiles) for place, tiles in parts if place.start < place.stop]


def write_pooled(xp, tiles, band, size, y, winner=None):
    """Write max(pool(tiles), 0) into y (N, ph, pw, F): a 2x2 max-pool, at stride 2, of the output of `size` (oh, ow).

    winner   like y, uint8, or None. It gets the place 2a + b of each window's first largest pixel, or 4 or more if none
             is positive
    The tiles are overwritten.
    """
    below, beyond = size[0] - OUTPUTS * (band.rows.stop - 1), size[1] - OUTPUTS * (band.columns - 1)
    tiles[below:, :, :, -1] = -math.inf  # pixels outside the output never win
    tiles[:, beyond:, :, :, -1] = -math.inf
    if winner is None:
        rows = xp.maximum(tiles[::2], tiles[1::2], out=tiles[::2])
        write_tiles(xp.maximum(rows[:, ::2], rows[:, 1::2], out=rows[:, ::2]), band, y, relu=True)
        return
    half = OUTPUTS // 2
    windows = xp.moveaxis(tiles.reshape(half, 2, half, 2, *tiles.shape[2:]), (1, 3), (0, 1))
    largest, place = relu_pool(xp, windows)
    write_tiles(largest, band, y)
    write_tiles(place, band, winner)


def _rows(source, first, count, scratch, beyond=None):
    """The rows first ... first + count - 1 of images (m, H, W, C). Rows outside are `beyond`, as in tiles_of."""
    m, h, w, c = source.shape
    low, high = max(first, 0), max(min(first + count, h), 0)
    if (low, high) == (first, first + count):
        return source[:, low:high]
    rows = scratch.take("rows", m, count, w, c)
    beyond = 0 if beyond is None else beyond
    rows[:, : low - first] = beyond
    rows[:, low - first : max(high - first, 0)] = source[:, low:high]
    rows[:, max(high - first, 0) :] = beyond
    return rows
