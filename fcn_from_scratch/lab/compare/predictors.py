"""The methods of dense prediction as functions of the image: x (N, C, H, W) -> scores (N, K, H, W).

Each also tells its costs: `passes` of the network, `stride` between its predictions before interpolation,
`parameters`, and `multiply_adds(size)` for one image, counted by geometry.
"""

from math import ceil

import numpy as np

from fcn_from_scratch import dense, geometry, models, ops
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.compare.training_plan import STAGES
from fcn_from_scratch.layers import BilinearUpsample, Sequential
from fcn_from_scratch.layers.shift_and_stitch import interlace, shifted


def predictor(method, nets, stride):
    """The predictor of a methods.Method with trained `nets`. `stride` is the output stride of the tricks."""
    net = nets[method.stage]
    if method.way == "stitch":
        return Stitched(net, stride)
    if method.way == "rarefy":
        return Rarefied(net, stride)
    if method.way == "nearest":
        coarse = nets.fresh(STAGES[method.stage].network, upsampling="nearest")
        models.transplant(coarse, net)
        return Whole(coarse.to(nets.device).eval())
    return Whole(net)


class Whole:
    """A network as it was trained: one pass, with its own upsampling."""

    passes = 1

    def __init__(self, net):
        self.net = net
        # the scores are as far apart as the last upsampling makes up for; a decoder predicts every pixel
        self.stride = net.upscore.window.stride[0] if hasattr(net, "upscore") else 1

    @property
    def parameters(self):
        return _count(self.net)

    def multiply_adds(self, size):
        return geometry.table(self.net, size).multiply_adds

    def __call__(self, x):
        return self.net(x)


class _Trick:
    """Scores at every stride-th pixel, computed by the net's layers up to its coarsest scores, then interpolated.

    The image is first padded with zeros (the mean colour) at the bottom and the right, to a multiple of the net's own
    stride. So the last pools drop no pixels. Subclasses define fine(x), the scores of such an image on the grid
    `field`, and _work(size), the number of channels of the scores and the multiply-adds.
    """

    def __init__(self, net, stride):
        self.net = Sequential(*getattr(net, "coarse_path", net.children.values())).eval()
        coarse = geometry.receptive_field(self.net)
        if coarse.stride % stride:
            raise InputError(
                f"the tricks reduce the output stride of {coarse.stride} to one of its divisors; {stride} is none"
            )
        self.coarse_stride, self.stride = coarse.stride, stride
        self.factor = coarse.stride // stride
        self.field = geometry.ReceptiveField(axis._replace(stride=axis.stride / self.factor) for axis in coarse.axes)

    @property
    def parameters(self):
        return _count(self.net)

    def __call__(self, x):
        return on_image(self.fine(filled_up(x, self.coarse_stride)), self.field, x.shape[2:])

    def multiply_adds(self, size):
        """Those of all passes and of the interpolation, a transposed convolution with k*k for every score."""
        size = tuple(_up_to_multiple(n, self.coarse_stride) for n in size)
        cells = np.prod([n // self.stride + 1 for n in size]).item()
        channels, work = self._work(size)
        return work + channels * cells * _kernel_size(self.field) ** 2


class Stitched(_Trick):
    """Shift-and-stitch: runs the unchanged net on shifted images and interlaces the scores.

    scores[f*i - a, f*j - b] = net(the image moved by stride*a down and stride*b right)[i, j]   for 0 <= a, b < f

    with f = the net's stride / stride. It takes f*f passes. Stride 1 is the paper's trick, dense.shift_and_stitch.
    """

    @property
    def passes(self):
        return self.factor**2

    def fine(self, x):
        s = self.stride
        outputs = {
            (a, b): self.net(shifted(x, (a * s, b * s), "shift")) for a, b in np.ndindex(self.factor, self.factor)
        }
        return interlace(outputs, (self.factor, self.factor), "shift")

    def _work(self, size):
        """(channels, multiply-adds). A layer's work in a pass is its work for a cell times the map's height and width.

        The height depends on the move down alone, the width on the move to the right alone. So the sums of both over
        the f passes with equal moves give the work of all f*f passes.
        """
        moved = range(0, self.coarse_stride, self.stride)
        passes = [geometry.table(self.net, tuple(n + move for n in size)).rows for move in moved]
        work = 0
        for rows in zip(*passes):
            height, width = (sum(row.size[axis] for row in rows) for axis in (0, 1))
            work += rows[0].multiply_adds // np.prod(rows[0].size).item() * height * width
        return rows[0].channels, work


class Rarefied(_Trick):
    """Filter rarefaction: one pass of the net with its last strides removed and the layers after them dilated."""

    passes = 1

    def __init__(self, net, stride):
        super().__init__(net, stride)
        self.rarefied = dense.rarefy(self.net, stride)

    def fine(self, x):
        return self.rarefied(x)

    def _work(self, size):
        table = geometry.table(self.rarefied, size)
        return table.rows[-1].channels, table.multiply_adds


def on_image(scores, field, size):
    """Interpolate scores bilinearly from their grid to every pixel. Beyond the outer cells the edge values continue.

    y[p] = (1 - w) * scores[i] + w * scores[i + 1]   with i + w = (p - start) / stride, along each axis

    It is a bilinear transposed convolution, and geometry gives the crop. The kernel is 2*stride wide; where cells lie
    on whole pixels, it is one pixel smaller.
    Shapes: scores (N, K, h, w); field, their grid; size (H, W). Returns: (N, K, H, W).
    Identity: exact for scores that are a linear function of the position  (tests/lab/compare/test_predictors.py).
    """
    frame, moved = [(0, 0), (0, 0)], []
    for axis, cells, length in zip(field.axes, scores.shape[2:], size):
        before = max(0, ceil(axis.start / axis.stride))
        last = axis.start + (cells - 1) * axis.stride
        frame.append((before, max(0, ceil((length - 1 - last) / axis.stride))))
        moved.append(axis._replace(start=axis.start - before * axis.stride))
    up = BilinearUpsample(_kernel_size(field), field.stride).eval()
    offset = geometry.crop_offset(geometry.receptive_field(up, geometry.ReceptiveField(moved)), geometry.IMAGE)
    framed = get_array_module(scores).pad(scores, frame, mode="edge")
    return ops.crop(up(framed), offset, size)


def filled_up(x, multiple):
    """x (N, C, H, W) padded with zeros at the bottom and the right to multiples of `multiple`."""
    n, c, h, w = x.shape
    whole = get_array_module(x).zeros((n, c, _up_to_multiple(h, multiple), _up_to_multiple(w, multiple)), x.dtype)
    whole[:, :, :h, :w] = x
    return whole


def _kernel_size(field):
    return 2 * field.stride - (field.axes[0].start.denominator == 1)


def _up_to_multiple(n, multiple):
    return -(-n // multiple) * multiple


def _count(net):
    return sum(array.size for array in net.params.values())
