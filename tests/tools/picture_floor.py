"""The floor of one picture through FCN-8s with the zero frame: its NumPy calls alone, in two processes at once.

python tests/tools/picture_floor.py                 a picture of 500x500, as `fcn segment` runs it
python tests/tools/picture_floor.py --size 375 500

All arrays exist already. Each process makes half of the calls of every convolution of the trunk, up to fc7. The
processes do not wait for each other. The scores, the upsampling, fc6's tiles, the small maps of the zero frame and all
that happens between the calls are left out. So a picture that is computed by these calls takes longer.

products    the matrix products over the channels
transforms  of Winograd's algorithm: of the tiles, of the weights and of the products. They are matrix products too
passes      over memory: conv1_1's patches, bias, ReLU, pool, and writing the map

The numbers are milliseconds: the mean of both processes, and the median of the rounds.
"""

import argparse
import collections
import functools
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from fcn_from_scratch import models  # noqa: E402
from fcn_from_scratch.engine import conv_wide, im2col, pixelwise, threads, winograd_wide  # noqa: E402
from fcn_from_scratch.engine import winograd_frequencies as by_frequency  # noqa: E402
from fcn_from_scratch.engine import winograd_tiles as tiling  # noqa: E402
from fcn_from_scratch.engine.conv import choose  # noqa: E402
from fcn_from_scratch.engine.conv_im2col import weight_matrix  # noqa: E402
from fcn_from_scratch.engine.small_products import grouped, multiply  # noqa: E402
from fcn_from_scratch.engine.winograd_transforms import INPUT, transform_kernel  # noqa: E402
from fcn_from_scratch.layers import Conv2d, MaxPool2d, fused  # noqa: E402
from fcn_from_scratch.models import zero_frame  # noqa: E402
from fcn_from_scratch.ops import shapes  # noqa: E402

PROCESSES = 2
KINDS = ("products", "transforms", "passes")
ITEMSIZE = np.dtype(np.float32).itemsize


class Convolution:
    """A convolution without padding, with its ReLU and perhaps a 2x2 max-pool: its arrays and its calls.

    size  (oh, ow) of the convolution's output
    """

    def __init__(self, channels, filters, kernel_size, size, pooled=False, algorithm=None):
        self.size, self.pooled, self.channels, self.filters = size, pooled, channels, filters
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((1, *(n + k - 1 for n, k in zip(size, kernel_size)), channels), np.float32)
        weight = rng.standard_normal((filters, *kernel_size, channels), np.float32)
        self.weight, self.bias = weight.transpose(0, 3, 1, 2), rng.standard_normal(filters, np.float32)
        self.y = np.empty((1, *(-(-n // 2) if pooled else n for n in size), filters), np.float32)
        self.geometry = shapes.Geometry(kernel_size, (1, 1), (0, 0), (1, 1), 1, size)
        x_shape = im2col.channels_first(self.x).shape
        self.algorithm = algorithm or choose(x_shape, self.weight.shape, self.geometry, np.float32)
        self.multiply_adds, self._scratch, self._held = 0, [], {}

    def calls(self, process):
        """The calls of one of the PROCESSES, as pairs (kind, function)."""
        self._calls, self._mine = [], lambda items: list(items)[process::PROCESSES]
        self._scratch = tiling.Scratch(np.empty, np.float32)
        getattr(self, f"_{self.algorithm}")()
        return self._calls

    def _call(self, kind, function, *arguments, **named):
        self._calls.append((kind, functools.partial(function, *arguments, **named)))

    def _product(self, a, b, out):
        """out = a @ b, for one matrix or for a stack of them."""
        self.multiply_adds += out.size * a.shape[-1]
        self._call("products", np.matmul, a, b, out=out)

    def _array(self, name, *shape):
        """An array that the calls of all processes share, if one program makes them all, as the test does."""
        if name not in self._held:  # not empty: pages that nobody has written to are all the same page, in the cache
            self._held[name] = np.full(shape, 0.5, np.float32)
        return self._held[name]

    def _im2col(self):
        if self.pooled:
            raise ValueError("this program has no calls for a pool after patches; take a picture of 400x400 or more")
        oh, ow = self.size
        matrix, line = weight_matrix(self.weight, np.float32), np.tile(self.bias, ow)
        kernel_size, x = self.geometry.kernel_size, im2col.channels_first(self.x)
        source = im2col.with_border(x, (0, 0), kernel_size, matrix.dtype)
        patch_row = im2col.patch_bytes(ow, kernel_size, self.channels, matrix.dtype)
        for image, rows in self._mine(im2col.block_list(np, 1, oh, patch_row, ow * self.filters * ITEMSIZE)):
            part = self.y[image, rows].reshape(-1, self.filters)
            arguments, made = (source[image], rows, ow, kernel_size, (1, 1), (1, 1)), {}

            def gather(arguments=arguments, made=made):
                made["patches"] = im2col.gather(*arguments)

            def product(part=part, made=made):
                np.matmul(made.pop("patches"), matrix, out=part)

            self.multiply_adds += part.size * len(matrix)
            self._call("passes", gather)
            self._call("products", product)
            lines = part.reshape(-1, ow * self.filters)
            self._call("passes", np.add, lines, line, out=lines)
            self._call("passes", pixelwise.rectify, lines, lines)

    def _winograd(self):
        c, f = self.channels, self.filters
        everything = tiling.bands(1, *self.size, c, f, ITEMSIZE)
        if by_frequency.pays(everything, c, f, ITEMSIZE):
            self._by_frequency(everything)
            return
        kernel = self._array("kernel", tiling.FREQUENCIES, f, c)
        transform_kernel(np, self.weight, kernel)  # `grouped` may copy it
        for filters in self._mine(threads.split(f, PROCESSES)):
            self._call("transforms", transform_kernel, np, self.weight[filters], kernel[:, filters])
        kernel = grouped(np, kernel.transpose(0, 2, 1))
        for band in self._mine(everything):
            tiles = self._scratch.take("tiles", tiling.FREQUENCIES, band.tiles, c)
            products = self._scratch.take("products", tiling.FREQUENCIES, band.tiles, f)
            self._before(tiles, band)
            self.multiply_adds += tiles.size * f
            self._call("products", multiply, np, tiles, kernel, products)
            self._after(products, band)

    def _by_frequency(self, everything):
        count = sum(band.tiles for band in everything)
        tiles = self._array("tiles", tiling.FREQUENCIES, count, self.channels)
        products = self._array("products", tiling.FREQUENCIES, count, self.filters)
        places, start = [], 0
        for band in everything:
            places.append((band, slice(start, start + band.tiles)))
            start += band.tiles
        for band, place in self._mine(places):
            self._before(tiles[:, place], band)
        for some in self._mine(threads.split(tiling.FREQUENCIES, by_frequency.GROUPS)):
            part = self._scratch.take("kernel", some.stop - some.start, *self.weight.shape[:2])
            self._call("transforms", transform_kernel, np, self.weight, part, False, some)
            self._product(tiles[some], part.transpose(0, 2, 1), products[some])
        for band, place in self._mine(places):
            self._after(products[:, place], band)

    def _before(self, tiles, band):
        for part, place in tiling.parts(band, self.channels, ITEMSIZE):
            arguments = INPUT, self.x, part, (0, 0), tiles[:, place], self._scratch
            self._call("transforms", tiling.tiles_of, np, *arguments)

    def _after(self, products, band):
        mean = products[tiling.MEAN]
        self._call("passes", np.add, mean, self.bias, out=mean)
        for part, place in tiling.parts(band, self.filters, ITEMSIZE):
            made = {}

            def transform(place=place, part=part, made=made):
                made["tiles"] = tiling.output_tiles(np, products[:, place], part, self._scratch)

            def write(part=part, made=made):
                if self.pooled:
                    tiling.write_pooled(np, made["tiles"], part, self.size, self.y)
                else:
                    tiling.write_tiles(made["tiles"], part, self.y, relu=True)

            self._call("transforms", transform)
            self._call("passes", write)

    def _winograd_wide(self):
        (oh, ow), (_, c, kh, kw) = self.size, self.weight.shape
        rows = -(-oh // winograd_wide.OUTPUTS)
        a, g, _ = winograd_wide._matrices(kh)
        output, matrix = a.T.astype(np.float32, order="C"), g[1:-1].astype(np.float32)
        tiles = winograd_wide._input_tiles(im2col.channels_first(self.x), self.geometry, rows, np.empty, np.float32)
        for filters in self._mine(winograd_wide._groups(self.weight.shape, self.x.dtype)):
            taps = winograd_wide._taps(self.weight[filters], np.float32)
            kernel = self._scratch.take("kernel", len(taps), len(matrix), kw * c)
            products = self._scratch.take("products", len(tiles), len(taps), tiles.shape[1])
            pixels = self._scratch.take("pixels", len(output), len(taps) * tiles.shape[1])
            self._product(taps[:, 0], tiles[0].T, products[0])
            self._call("transforms", np.matmul, matrix, taps, out=kernel)
            self._product(kernel.swapaxes(0, 1), tiles[1:-1].swapaxes(1, 2), products[1:-1])
            self._product(taps[:, -1], tiles[-1].T, products[-1])
            self._call("transforms", np.matmul, output, products.reshape(len(tiles), -1), out=pixels)
            shaped = pixels.reshape(len(output), len(taps), rows, ow)
            self._call("passes", np.add, shaped, self.bias[filters, None, None], out=shaped)
            self._call("passes", pixelwise.rectify, shaped, shaped)
            for i in range(len(output)):
                target = self.y[0, i :: len(output), :, filters]
                self._call("passes", np.copyto, target, shaped[i].transpose(1, 2, 0)[: len(target)])

    def _wide(self):
        patches = conv_wide._patches(im2col.channels_first(self.x), self.geometry, np.float32)
        matrix, y = weight_matrix(self.weight, np.float32), self.y.reshape(-1, self.filters)
        for filters in self._mine(conv_wide._parts(self.filters)):
            product = self._scratch.take("product", filters.stop - filters.start, len(patches))
            self._product(matrix[:, filters].T, patches.T, product)
            self._call("passes", np.add, product, self.bias[filters, None], out=product)
            self._call("passes", pixelwise.rectify, product, product)
            self._call("passes", np.copyto, y[:, filters], product.T)


def convolutions(size, **options):
    """Yield the Convolutions of FCN-8s' trunk for one picture of this size, with the zero frame. The options are those
    of models.build."""
    trunk = models.build("fcn8s", seed=None, **options).eval().trunk
    parts = zero_frame.plan(trunk, np.zeros((1, 3, *size), np.float32))
    for part in parts:
        conv, *others = part.layers
        if isinstance(conv, Conv2d):
            inner = tuple(n.stop - n.start - k + 1 for n, k in zip(part.window, conv.kernel_size))
            yield Convolution(*_sizes(conv), inner, len(others) == 2, part.algorithm)
    shape = (len(trunk.layers), *parts[-1].size)
    names = list(trunk.children)
    rest = {name: trunk.children[name] for name in names[names.index(parts[-1].name) + 1 :]}
    for group in fused.groups(rest, trunk.taps):
        layers = [rest[name] for name in group]
        pooled = any(isinstance(layer, MaxPool2d) for layer in layers)
        for layer in layers:
            shape = layer.output_shape(shape)
            if isinstance(layer, Conv2d):
                yield Convolution(*_sizes(layer), shape[1:], pooled)


def _sizes(conv):
    return conv.in_channels, conv.out_channels, conv.kernel_size


def serve(size, process, pipe):
    """Answer each message with the milliseconds of each kind of call."""
    threads.limit(1)
    calls = [call for each in convolutions(size) for call in each.calls(process)]
    pipe.send(None)
    while pipe.recv():
        seconds = collections.Counter()
        for kind, function in calls:
            begin = time.perf_counter()
            function()
            seconds[kind] += time.perf_counter() - begin
        pipe.send({kind: 1e3 * seconds[kind] for kind in KINDS})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 500), help="height and width (default: 500 500)")
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds after the first, which does not count (default: 9)"
    )
    options = parser.parse_args()
    pipes = []
    for number in range(PROCESSES):
        ours, theirs = multiprocessing.Pipe()
        arguments = tuple(options.size), number, theirs
        multiprocessing.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()
        pipes.append(ours)
    rounds = []
    try:
        for pipe in pipes:
            pipe.recv()
        for _ in range(options.rounds + 1):
            for pipe in pipes:
                pipe.send(True)
            found = [pipe.recv() for pipe in pipes]
            rounds.append({kind: statistics.mean(each[kind] for each in found) for kind in KINDS})
    except EOFError:
        sys.exit("a process has failed, see above")
    medians = {kind: statistics.median(each[kind] for each in rounds[1:]) for kind in KINDS}
    height, width = options.size
    print(f"the NumPy calls of a picture of {height}x{width} through FCN-8s, {PROCESSES} processes:")
    print(", ".join(f"{kind} {medians[kind]:.0f} ms" for kind in KINDS), f"-> together {sum(medians.values()):.0f} ms")


if __name__ == "__main__":
    main()
