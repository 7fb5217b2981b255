"""How far Winograd's F(4, 3) and im2col in float32 are from the truth: the table of docs/performance.md.

python tests/tools/winograd_accuracy.py              the table, of eight seeds
python tests/tools/winograd_accuracy.py --seeds 2

An error is the largest difference from the truth, divided by the largest value of the truth. The truth is im2col in
float64, on the same numbers. The convolutions are those of VGG16 for a picture of 224x224: the wider a layer, the
smaller its map. The input is normal numbers after ReLU. The weight is He's, so outputs are as large as inputs. The
upstream gradient is normal numbers, and zero where a ReLU after the convolution would have stopped it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from fcn_from_scratch.engine import conv  # noqa: E402
from fcn_from_scratch.ops.shapes import Geometry  # noqa: E402

SIZES = {64: 224, 128: 112, 256: 56, 512: 28}  # channels in and out -> height and width of the map
ARRAYS = ("y", "dx", "dweight", "dbias")
# channels -> the bounds for Winograd's y, dx and dweight. tests/engine/test_winograd.py holds them, from both sides
BOUNDS = {
    64: (5.0e-6, 6.5e-6, 6.5e-6),
    128: (6.0e-6, 8.0e-6, 6.5e-6),
    256: (7.5e-6, 1.0e-5, 5.5e-6),
    512: (8.0e-6, 8.5e-6, 4.0e-6),
}
SUMS = 1.5e-6  # the bound for im2col's y, dx and dweight, and for dbias


def problem(channels, seed):
    """Arrays (x, weight, bias, dy) in float32, and the geometry of the convolution."""
    rng, size = np.random.default_rng([seed, channels]), SIZES[channels]
    shape = 1, channels, size, size
    x = np.maximum(rng.standard_normal(shape, np.float32), 0)
    weight = rng.standard_normal((channels, channels, 3, 3), np.float32) * np.float32((2 / (9 * channels)) ** 0.5)
    bias = np.float32(0.1) * rng.standard_normal(channels, np.float32)
    dy = rng.standard_normal(shape, np.float32)
    return (x, weight, bias, dy), Geometry((3, 3), (1, 1), (1, 1), (1, 1), 1, (size, size))


def errors(channels, seed, algorithms=("winograd", "im2col")):
    """The errors of each algorithm in float32: algorithm -> (y, dx, dweight, dbias)."""
    (x, weight, bias, dy), geometry = problem(channels, seed)
    true_y = conv.conv2d(*_doubles(x, weight, bias), geometry, "im2col")
    dy *= true_y > 0
    truth = true_y, *conv.conv2d_backward(*_doubles(dy, x, weight), geometry, algorithm="im2col")
    found = {}
    for algorithm in algorithms:
        y = conv.conv2d(x, weight, bias, geometry, algorithm)
        values = y, *conv.conv2d_backward(dy, x, weight, geometry, algorithm=algorithm)
        found[algorithm] = tuple(float(abs(a - b).max() / abs(b).max()) for a, b in zip(values, truth))
    return found


def _doubles(*arrays):
    return [array.astype(np.float64) for array in arrays]


def rows(seeds):
    """The lines of the table: smallest and largest error over the seeds, and the bound."""
    yield "| channels | map | array | Winograd | bound | im2col |"
    yield "|---:|---:|---|---:|---:|---:|"
    for channels, size in SIZES.items():
        found = [errors(channels, seed) for seed in range(seeds)]
        for place, array in enumerate(ARRAYS):
            fast, direct = (_range(each[name][place] for each in found) for name in ("winograd", "im2col"))
            bound = (*BOUNDS[channels], SUMS)[place]
            yield f"| {channels} | {size}x{size} | {array} | {fast} | {bound:.1e} | {direct} |"


def _range(values):
    values = sorted(values)
    return f"{values[0]:.1e} .. {values[-1]:.1e}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="how many (default: 8)")
    for row in rows(parser.parse_args(arguments).seeds):
        print(row, flush=True)


if __name__ == "__main__":
    main()
