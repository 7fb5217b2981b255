"""The 36 products of Winograd's algorithm one after another: for few tiles and a large kernel, as in conv4 and conv5.

engine.winograd cuts an image into bands, and multiplies the tiles of each band by the whole transformed kernel. With
512 channels in and out the kernel takes 36 MiB. BLAS copies it once for each band into an order of its own. Here all
tiles are transformed first. Then a thread takes some of the 36 frequencies. It transforms the kernel for these only,
and multiplies it by all tiles. So the whole transformed kernel is never in memory, and BLAS copies it once.
"""

from fcn_from_scratch.engine import small_products, threads
from fcn_from_scratch.engine.winograd_tiles import FREQUENCIES, Scratch
from fcn_from_scratch.engine.winograd_transforms import transform_kernel

MOST_BYTES = 80 << 20  # of both matrices for each frequency, over all tiles: as much as two bands may take
GROUPS = 6  # of frequencies; with fewer, two threads wait for each other


def pays(everything, c, f, itemsize):
    """Whether all tiles, a list of bands, are few and the kernel is large."""
    tiles = sum(band.tiles for band in everything)
    return c > small_products.WIDEST and FREQUENCIES * tiles * (c + f) * itemsize <= MOST_BYTES


def convolve(xp, kernel, sizes, everything, transform, finish, make, dtype):
    """Convolve all bands at once.

    kernel     a function (slice of the frequencies, Scratch) that returns the transformed kernel for these, (n, C, F)
    sizes      (C, F)
    transform  a function (tiles, band, Scratch) that writes the transformed tiles of a band, (36, band.tiles, C)
    finish     a function (products, band, Scratch) that takes the products of a band, (36, band.tiles, F)
    """
    places, count = [], 0
    for band in everything:
        places.append((band, slice(count, count + band.tiles)))
        count += band.tiles
    tiles, products = (make((FREQUENCIES, count, channels), dtype) for channels in sizes)

    def before(item, scratch):
        band, place = item
        transform(tiles[:, place], band, scratch)

    def multiply(some, scratch):
        xp.matmul(tiles[some], kernel(some, scratch), out=products[some])

    def after(item, scratch):
        band, place = item
        finish(products[:, place], band, scratch)

    for work, items in ((before, places), (multiply, threads.split(FREQUENCIES, GROUPS)), (after, places)):
        threads.run(work, items, lambda: Scratch(make, dtype))


def kernel_of(xp, weight, turned=False, kernel=None):
    """The function that `convolve` takes as its kernel. It transforms the weight, or reads a transformed `kernel`."""

    def of(some, scratch):
        if kernel is not None:
            return kernel[some, 0]
        part = scratch.take("kernel", some.stop - some.start, *weight.shape[:2])
        transform_kernel(xp, weight, part, turned, some)
        return part if turned else part.transpose(0, 2, 1)

    return of
