"""The gradients of a 3x3 convolution with respect to weight and bias, by Winograd's F(4, 3).

y is linear in the transformed kernel G w G^T, with the factors B^T d B and A. So for each frequency q

    d(G w G^T)[q, f, c] = sum over tiles of (A dy A^T)[q, tile, f] * (B^T d B)[q, tile, c]

This is a product of two matrices with as many rows as the image has tiles. There are two ways to compute it, which
differ in what stays in the cache.

With few channels the sums are small, and the tiles are many: for conv1_2 0.6 MB and 560 MB. So each thread transforms
a band of tiles, multiplies it while it is in the cache, and adds the product to a sum of its own.

With many channels the sums are large, and the tiles are few: for conv4_2 38 MB and 71 MB. So all tiles are transformed
first. Then each thread computes the sums of some frequencies.

The gradient of the bias is the sum of dy over all pixels. At point 1 all powers are 1, so one frequency of A dy A^T
holds the sum over the pixels of each tile.
"""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.pixelwise import long_sums
from fcn_from_scratch.engine.winograd_tiles import FREQUENCIES, MEAN, Scratch, bands, parts, pixels_last, tiles_of
from fcn_from_scratch.engine.winograd_transforms import INPUT, OUTPUT, transform_kernel_adjoint
from fcn_from_scratch.engine.workspace import empty_from

FEW = 1 << 15  # channels in times channels out; with more, the sums no longer stay in the cache beside a band
SUMS = 8  # of the first way at most; how many there are decides how they are rounded, so it is the same everywhere
TILES_BYTES = 96 << 20  # the second way holds transformed tiles of x and of dy up to this size at once


@threads.one_blas_thread
@np.errstate(under="ignore")  # a tiny number that becomes zero on the way is no fault of the caller's
def winograd_weight_grad(dy, x, padding, out, workspace=None):
    """Compute conv2d's gradients with respect to weight and bias: the formula above, and G^T d(G w G^T) G.

    Shapes: dy (N, F, oh, ow); x (N, C, H, W); out (F, C, 3, 3). The weight's gradient is added to out.
    Returns: (out, the bias's gradient (F,)).
    Identity: <dweight, v> == <dy, conv2d(x, v)>; dbias == the sum of dy  (tests/engine/test_winograd.py).
    """
    xp = get_array_module(dy, x)
    dtype = checks.floating_result(xp, dy, x)
    images = _Images(xp, pixels_last(x, dtype), pixels_last(dy, dtype), padding, empty_from(workspace, xp))
    dkernel, dbias = (_band_by_band if images.c * images.f <= FEW else _frequency_by_frequency)(images)
    return transform_kernel_adjoint(xp, dkernel, out), dbias


class _Images:
    """The pixels of x and of dy, from which tiles are made."""

    def __init__(self, xp, pixels, upstream, padding, make):
        self.xp, self.make, self.dtype = xp, make, pixels.dtype
        self.pixels, self.upstream, self.padding = pixels, upstream, padding
        self.c, self.f = pixels.shape[3], upstream.shape[3]
        self.bands = bands(*upstream.shape[:3], self.c, self.f, self.dtype.itemsize)

    def transform(self, band, tiles, gradients, scratch):
        """Compute B^T d B of the band's tiles, into (36, tiles, C), and A dy A^T, into (36, tiles, F)."""
        for part, place in parts(band, max(self.c, self.f), self.dtype.itemsize):
            tiles_of(self.xp, INPUT, self.pixels, part, self.padding, tiles[:, place], scratch)
            tiles_of(self.xp, OUTPUT.T, self.upstream, part, (0, 0), gradients[:, place], scratch)

    def run(self, work, items):
        threads.run(work, items, lambda: Scratch(self.make, self.dtype))

    def sum_of_tiles(self, gradients):
        """The sum over the tiles of (tiles, F): a product with ones, which is faster than a sum along columns."""
        return long_sums(self.xp.ones(len(gradients), self.dtype), gradients)


def _band_by_band(images):
    """Compute d(G w G^T), (36, F, C), and dbias. Each sum is over some bands, one after another."""
    xp, c, f = images.xp, images.c, images.f
    lists = threads.split(len(images.bands), SUMS)
    sums = images.make((len(lists), FREQUENCIES, f, c), images.dtype)
    biases = [0] * len(lists)

    def add_up(number, scratch):
        for place in range(lists[number].start, lists[number].stop):
            band, is_first = images.bands[place], place == lists[number].start
            tiles = scratch.take("tiles", FREQUENCIES, band.tiles, c)
            gradients = scratch.take("gradients", FREQUENCIES, band.tiles, f)
            images.transform(band, tiles, gradients, scratch)
            product = sums[number] if is_first else scratch.take("product", FREQUENCIES, f, c)
            xp.matmul(gradients.swapaxes(1, 2), tiles, out=product)
            if not is_first:
                sums[number] += product
            biases[number] = biases[number] + images.sum_of_tiles(gradients[MEAN])

    images.run(add_up, range(len(lists)))
    for other in sums[1:]:
        sums[0] += other
    return sums[0], sum(biases)


def _frequency_by_frequency(images):
    """Compute d(G w G^T), (36, F, C), and dbias. All bands are transformed first, or as many as there is room for."""
    xp, c, f = images.xp, images.c, images.f
    dkernel, dbias = images.make((FREQUENCIES, f, c), images.dtype), 0
    room = max(TILES_BYTES // (FREQUENCIES * (c + f) * images.dtype.itemsize), 1)
    for number, group in enumerate(_groups(images.bands, room)):
        count = sum(band.tiles for band, _ in group)
        tiles, gradients = (images.make((FREQUENCIES, count, channels), images.dtype) for channels in (c, f))

        def transform(item, scratch, tiles=tiles, gradients=gradients):
            band, first = item
            place = slice(first, first + band.tiles)
            images.transform(band, tiles[:, place], gradients[:, place], scratch)

        def multiply(frequency, scratch, tiles=tiles, gradients=gradients, number=number):
            product = scratch.take("product", f, c) if number else dkernel[frequency]
            xp.matmul(gradients[frequency].T, tiles[frequency], out=product)
            if number:
                dkernel[frequency] += product

        images.run(transform, group)
        images.run(multiply, range(FREQUENCIES))
        dbias = dbias + images.sum_of_tiles(gradients[MEAN])
    return dkernel, dbias


def _groups(everything, room):
    """Yield the bands in order, in groups of at most `room` tiles (but at least one band).

    A group is a list of (band, number of tiles before it in the group).
    """
    group, count = [], 0
    for band in everything:
        if group and count + band.tiles > room:
            yield group
            group, count = [], 0
        group.append((band, count))
        count += band.tiles
    yield group
