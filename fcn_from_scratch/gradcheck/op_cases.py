"""Every op that has a backward, in configurations that tell its axes apart.

There are two images, and the sizes differ: input channels from output channels, height from width, kernels from
strides. In a square, symmetric case nobody would notice an exchanged axis. Each function below returns (forward,
backward, inputs) for one configuration, with backward(dy, *inputs).
"""

from fcn_from_scratch import ops
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.gradcheck.vjp import away_from_zero, spaced

SHAPE = (2, 4, 9, 8)


def conv2d(rng, kernel_size=(3, 2), **options):
    x, weight = rng.normal(size=SHAPE), rng.normal(size=(6, 4 // options.get("groups", 1), *kernel_size))
    inputs = [x, weight, rng.normal(size=6)]

    def forward(x, weight, bias):
        return ops.conv2d(x, weight, bias, **options)

    def backward(dy, x, weight, bias):
        return ops.conv2d_backward(dy, x, weight, **options)

    return forward, backward, inputs


def conv_transpose2d(rng, channels=3, **options):
    weight = rng.normal(size=(channels, 4 // options.get("groups", 1), 3, 2))
    inputs = [rng.normal(size=(2, channels, 5, 4)), weight, rng.normal(size=4)]

    def forward(x, weight, bias):
        return ops.conv_transpose2d(x, weight, bias, **options)

    def backward(dy, x, weight, bias):
        return ops.conv_transpose2d_backward(dy, x, weight, **options)

    return forward, backward, inputs


def linear(rng):
    inputs = [rng.normal(size=(2, 5)), rng.normal(size=(3, 5)), rng.normal(size=3)]
    return ops.linear, lambda dy, x, weight, bias: ops.linear_backward(dy, x, weight), inputs


def max_pool2d(rng, **options):
    def forward(x):
        return ops.max_pool2d(x, **options)[0]

    def backward(dy, x):
        return ops.max_pool2d_backward(dy, ops.max_pool2d(x, **options)[1], x.shape)

    return forward, backward, [spaced(rng, SHAPE)]


def max_unpool2d(rng, **options):
    indices = ops.max_pool2d(rng.normal(size=SHAPE), **options)[1]

    def forward(x):
        return ops.max_unpool2d(x, _beside(x, indices), SHAPE[2:])

    def backward(dy, x):
        return ops.max_unpool2d_backward(dy, _beside(x, indices))

    return forward, backward, [rng.normal(size=indices.shape)]


def avg_pool2d(rng, **options):
    def forward(x):
        return ops.avg_pool2d(x, **options)

    def backward(dy, x):
        return ops.avg_pool2d_backward(dy, x.shape, **options)

    return forward, backward, [rng.normal(size=SHAPE)]


def relu(rng):
    return ops.relu, lambda dy, x: ops.relu_backward(dy, ops.relu(x)), [away_from_zero(rng, SHAPE)]


def dropout(rng, p, channels):
    mask = rng.random(SHAPE[:2] if channels else SHAPE) >= p

    def forward(x):
        return ops.dropout(x, _beside(x, mask), p)

    def backward(dy, x):
        return ops.dropout_backward(dy, _beside(x, mask), p)

    return forward, backward, [rng.normal(size=SHAPE)]


def local_response_norm(rng, **options):
    def forward(x):
        return ops.local_response_norm(x, **options)

    def backward(dy, x):
        return ops.local_response_norm_backward(dy, x, **options)

    return forward, backward, [rng.normal(size=(2, 7, 3, 4))]


def upsample_nearest(rng, scale):
    def backward(dy, x):
        return ops.upsample_nearest_backward(dy, scale)

    return lambda x: ops.upsample_nearest(x, scale), backward, [rng.normal(size=(2, 3, 5, 4))]


def bed_of_nails(rng, scale):
    def backward(dy, x):
        return ops.bed_of_nails_backward(dy, scale)

    return lambda x: ops.bed_of_nails(x, scale), backward, [rng.normal(size=(2, 3, 5, 4))]


def bilinear_upsample(rng, **options):
    def forward(x):
        return ops.bilinear_upsample(x, **options)

    def backward(dy, x):
        return ops.bilinear_upsample_backward(dy, x.shape, **options)

    return forward, backward, [rng.normal(size=(2, 3, 5, 4))]


def interpolate_bilinear(rng, size, align_corners):
    def forward(x):
        return ops.interpolate_bilinear(x, size, align_corners)

    def backward(dy, x):
        return ops.interpolate_bilinear_backward(dy, x.shape, align_corners)

    return forward, backward, [rng.normal(size=(2, 3, 5, 4))]


def crop(rng, offset, size):
    def backward(dy, x):
        return ops.crop_backward(dy, x.shape, offset)

    return lambda x: ops.crop(x, offset, size), backward, [rng.normal(size=SHAPE)]


def softmax_cross_entropy(rng, ignored=0, weighted=False, masked=False, **options):
    """The op returns the gradient with the loss. backward multiplies it by dy, the upstream gradient of the loss."""
    n, c, h, w = SHAPE
    labels = rng.integers(0, c, (n, h, w))
    labels.ravel()[rng.permutation(labels.size)[:ignored]] = 255
    weight = rng.random(c) + 0.5 if weighted else None
    mask = rng.random((n, h, w)) < 0.6 if masked else None

    def both(scores):
        extras = {"weight": _beside(scores, weight), "mask": _beside(scores, mask)}
        return ops.softmax_cross_entropy(scores, _beside(scores, labels), **extras, **options)

    return lambda scores: both(scores)[0], lambda dy, scores: dy * both(scores)[1], [rng.normal(size=SHAPE)]


def _beside(x, array):
    """The array on x's device."""
    return None if array is None else get_array_module(x).asarray(array)


# name -> (function, its configurations)
OPS = {
    "conv2d": (
        conv2d,
        [
            {},
            {"stride": (2, 3), "padding": (1, 0)},
            {"dilation": (2, 3), "padding": (2, 1)},
            {"groups": 2, "padding": (0, 1)},
            {"padding": (4, 3)},  # larger than the kernel, so that dx is cropped
            {"stride": (3, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2},
            {"algorithm": "wide", "stride": (2, 3), "padding": (1, 0)},
            {"algorithm": "winograd", "kernel_size": (3, 3), "padding": (1, 2)},
        ],
    ),
    "conv_transpose2d": (
        conv_transpose2d,
        [
            {},
            {"stride": (2, 1), "padding": (1, 0)},
            {"stride": (4, 3)},  # larger than the kernel, so that some outputs get nothing
            {"stride": (2, 2), "padding": (2, 1)},
            {"stride": (2, 3), "output_padding": (1, 2)},
            {"channels": 6, "groups": 2, "stride": (1, 2), "dilation": (2, 1), "padding": 1},
            {"stride": (2, 1), "padding": (0, 2), "output_padding": (2, 1), "dilation": (3, 2)},
            {"channels": 4, "groups": 4, "stride": (3, 2), "output_padding": (2, 1), "dilation": (2, 3)},
        ],
    ),
    "linear": (linear, [{}]),
    "max_pool2d": (
        max_pool2d,
        [
            {"kernel_size": (3, 2)},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},  # windows overlap
            {"kernel_size": (2, 3), "stride": (2, 2), "padding": (1, 1), "ceil_mode": True},
            {"kernel_size": (2, 3), "stride": (1, 2), "dilation": (3, 2)},
        ],
    ),
    "max_unpool2d": (
        max_unpool2d,
        [{"kernel_size": (3, 2)}, {"kernel_size": (2, 3), "stride": (3, 3), "ceil_mode": True}],
    ),
    "avg_pool2d": (
        avg_pool2d,
        [
            {"kernel_size": (3, 2)},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1)},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1), "count_include_pad": False},
            {"kernel_size": (4, 3), "stride": (3, 2), "padding": (1, 1), "ceil_mode": True},
        ],
    ),
    "relu": (relu, [{}]),
    "dropout": (dropout, [{"p": 0.3, "channels": False}, {"p": 0.5, "channels": True}]),
    "local_response_norm": (
        local_response_norm,
        [
            {"size": 5, "alpha": 0.7, "beta": 0.75, "k": 1.0},
            {"size": 4, "alpha": 1.3, "beta": 0.5, "k": 2.0},  # an even window is not symmetric
            {"size": 9, "alpha": 0.7, "beta": 1.5, "k": 0.5},  # a window larger than the number of channels
        ],
    ),
    "upsample_nearest": (upsample_nearest, [{"scale": 2}, {"scale": (3, 2)}]),
    "bed_of_nails": (bed_of_nails, [{"scale": 2}, {"scale": (3, 2)}]),
    "bilinear_upsample": (
        bilinear_upsample,
        [
            {"kernel_size": 4, "stride": 2},
            {"kernel_size": 3, "stride": 2},
            {"kernel_size": (4, 3), "stride": (3, 2)},
            {"kernel_size": (6, 4), "stride": (3, 2), "padding": (2, 1)},
        ],
    ),
    "interpolate_bilinear": (
        interpolate_bilinear,
        [
            {"size": (9, 7), "align_corners": False},
            {"size": (9, 7), "align_corners": True},
            {"size": (3, 2), "align_corners": False},  # smaller than the input
            {"size": (1, 6), "align_corners": True},
        ],
    ),
    "crop": (crop, [{"offset": (2, 1), "size": (5, 6)}, {"offset": 0, "size": (9, 8)}]),
    "softmax_cross_entropy": (
        softmax_cross_entropy,
        [
            {"reduction": "mean"},
            {"reduction": "sum"},
            {"reduction": "mean", "ignored": 40, "weighted": True},
            {"reduction": "sum", "ignored": 20, "weighted": True, "masked": True},
        ],
    ),
}
