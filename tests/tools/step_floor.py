"""The floor of a lesson-size training step: its NumPy calls alone, in two processes at the same time.

python tests/tools/step_floor.py 64        8 pictures of 64x64, as `fcn bench --small` measures them
python tests/tools/step_floor.py 128
python tests/tools/step_floor.py 64 --loop   the same in a loop over layers

The arrays exist already, and nothing happens between the calls: no layers, no checks, no messages between processes, no
sum of the two processes' gradients, no SGD. A part of the batch goes through the convolutions, ReLUs, pools and the
loss, forward and back, as in engine.conv_im2col, engine.pooling and engine.loss. The score layer and the upsampling are
left out. So a step that is made of these calls takes longer than this. In a loop over layers, ReLU and pool are passes
of their own, and each process computes half of each layer's work. There a pool is a whole function of the engine, which
also makes its arrays.

products  of patches and weights, and of patches and gradients; the bias's gradient is one too
copies    a border around each map, and the patches, in blocks that stay in the cache
passes    bias, ReLU, pool and loss, and their gradients

The numbers are medians in milliseconds. For each kind of call, the slower of the two processes counts.
"""

import argparse
import collections
import functools
import itertools
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from fcn_from_scratch.engine import im2col, micro_batches, threads  # noqa: E402
from fcn_from_scratch.engine.pooling import max_pool2d_winner, max_pool2d_winner_backward, relu_pool  # noqa: E402
from fcn_from_scratch.lab.bench.work import LESSON_CHANNELS, LESSON_CLASSES  # noqa: E402
from fcn_from_scratch.ops.shapes import pool_geometry  # noqa: E402

BATCH, PROCESSES, POOLS, TAPS = 8, 2, 3, 9
KINDS = ("products", "copies", "passes")


class Part:
    """The calls of one part of a batch, as pairs (kind, function), and the multiply-adds of its convolutions.

    loop   ReLU and pool are passes of their own
    """

    def __init__(self, images, size, loop=False):
        self.calls, self.multiply_adds, self._rng = [], 0, np.random.default_rng(0)
        self.images = images
        for number, (c, f) in enumerate(itertools.pairwise(LESSON_CHANNELS)):
            y = self._convolution(size, c, f, first=number == 0)
            if loop or number == POOLS:
                y = self._relu(y)
            if number < POOLS:
                if loop:
                    self._pool_alone(y, size)
                else:
                    self._pool(y)
                size //= 2
        self._loss(size << POOLS)

    def _random(self, *shape):
        return self._rng.standard_normal(shape, np.float32)

    def _call(self, kind, function, *arguments, **named):
        self.calls.append((kind, functools.partial(function, *arguments, **named)))

    def _product(self, a, b):
        self.multiply_adds += len(a) * a.shape[1] * b.shape[1]
        self._call("products", np.matmul, a, b, out=np.empty((len(a), b.shape[1]), np.float32))

    def _convolution(self, size, c, f, first):
        """A 3x3 convolution from c to f channels and its gradients. The first layer's input needs none."""
        weight, turned = self._random(TAPS * c, f), self._random(TAPS * f, c)
        for patches in self._patches(size, c, planes=first):
            self._product(patches, weight)
        y = self._random(self.images * size * size, f)
        lines = y.reshape(-1, size * f)
        self._call("passes", np.add, lines, self._random(size * f), out=lines)
        self._call("products", np.matmul, np.ones(len(y), np.float32), y)
        for patches in self._patches(size, c if first else f, planes=first):
            if not first:
                self._product(patches, turned)
            self._product(patches.T, self._random(len(patches), f if first else c))
        return y

    def _patches(self, size, channels, planes):
        """Yield the patch matrix of each block, right after the calls that fill it."""
        inside = slice(1, size + 1)
        if planes:  # with few channels each tap of a plane is copied as a whole, see im2col.with_border
            padded = self._random(channels, self.images, size + 2, size + 2)
            self._call(
                "copies", np.copyto, padded[:, :, inside, inside], self._random(channels, self.images, size, size)
            )
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3)).transpose(1, 2, 4, 5, 0, 3)
        else:
            padded = self._random(self.images, size + 2, size + 2, channels)
            self._call("copies", np.copyto, padded[:, inside, inside], self._random(self.images, size, size, channels))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
        memory = None
        for image, rows in im2col.blocks(self.images, size, 4 * TAPS * channels * size):
            source = windows[image, rows]
            if planes:  # (images, rows, kh, kw, C, columns): a matrix with one column for each place
                source = source.transpose(2, 3, 4, 0, 1, 5)
            if memory is None or memory.shape != source.shape:
                memory = np.empty(source.shape, np.float32)
            self._call("copies", np.copyto, memory, source)
            yield memory.reshape(TAPS * channels, -1).T if planes else memory.reshape(-1, TAPS * channels)

    def _pool(self, y):
        """ReLU and 2x2 max-pool in one pass, and their gradient."""
        windows = y.reshape(2, 2, -1, y.shape[1])
        largest, winner = np.empty(windows.shape[2:], np.float32), np.empty(windows.shape[2:], np.uint8)
        places = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1)

        upstream, gradient = self._random(*largest.shape), np.empty(windows.shape, np.float32)
        self._call("passes", relu_pool, np, windows, (largest, winner))
        self._call("passes", lambda: np.multiply(upstream, winner == places, out=gradient))

    def _pool_alone(self, y, size):
        """2x2 max-pool of a whole map, and its gradient."""
        x = y.reshape(self.images, size, size, -1).transpose(0, 3, 1, 2)
        geometry = pool_geometry((size, size), 2)
        upstream, winner = map(np.copy, max_pool2d_winner(x, geometry))
        self._call("passes", max_pool2d_winner, x, geometry)
        self._call("passes", max_pool2d_winner_backward, upstream, winner, x.shape, geometry)

    def _relu(self, y):
        upstream, out, gradient = self._random(*y.shape), np.clip(y, 0, np.inf), np.empty_like(y)
        self._call("passes", np.clip, y, 0, np.inf, out=out)
        self._call("passes", lambda: np.multiply(upstream, out > 0, out=gradient))
        return out

    def _loss(self, size):
        scores = self._random(self.images, LESSON_CLASSES, size * size)
        gradient = np.empty_like(scores)

        def softmax():
            np.subtract(scores, scores.max(axis=1)[:, None], out=gradient)
            np.exp(gradient, out=gradient)
            total = gradient.sum(axis=1)
            np.log(total)
            np.multiply(gradient, (1 / total)[:, None], out=gradient)

        self._call("passes", softmax)


def parts(size, loop=False):
    """(pictures of a part, parts that each process computes) of a batch, as engine.micro_batches cuts the batch.

    loop   a batch is not cut: each process computes half of the pictures
    """
    if loop:
        return BATCH // PROCESSES, 1
    images = min(max(micro_batches.MOST_PIXELS // size**2, 1), BATCH // PROCESSES)
    return images, BATCH // images // PROCESSES


def serve(size, loop, repeats, pipe):
    """Answer each message with the milliseconds of each kind of call: the median of some repetitions."""
    threads.limit(1)
    images, count = parts(size, loop)
    calls = Part(images, size, loop).calls * count
    while pipe.recv():
        found = []
        for _ in range(repeats):
            seconds = collections.Counter()
            for kind, function in calls:
                begin = time.perf_counter()
                function()
                seconds[kind] += time.perf_counter() - begin
            found.append(seconds)
        pipe.send({kind: 1e3 * statistics.median(each[kind] for each in found) for kind in KINDS})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, choices=(64, 128), help="height and width of the pictures")
    parser.add_argument("--loop", action="store_true", help="the step in a loop over layers")
    parser.add_argument("--repeats", type=int, default=15, help="repetitions of each round (default: 15)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds, with a pause after each (default: 9)")
    options = parser.parse_args()
    pipes = []
    for _ in range(PROCESSES):
        ours, theirs = multiprocessing.Pipe()
        arguments = options.size, options.loop, options.repeats, theirs
        multiprocessing.Process(target=serve, args=arguments, daemon=True).start()
        pipes.append(ours)
    slower = []
    for _ in range(options.rounds):
        for pipe in pipes:
            pipe.send(True)
        found = [pipe.recv() for pipe in pipes]
        slower.append({kind: max(each[kind] for each in found) for kind in KINDS})
    medians = {kind: statistics.median(each[kind] for each in slower) for kind in KINDS}
    how = " in a loop over layers" * options.loop
    size = f"{options.size}x{options.size}"
    print(f"the NumPy calls of a step{how} with {BATCH} pictures of {size}, {PROCESSES} processes:")
    print(", ".join(f"{kind} {medians[kind]:.1f} ms" for kind in KINDS), f"-> together {sum(medians.values()):.1f} ms")


if __name__ == "__main__":
    main()
