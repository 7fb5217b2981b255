"""The gradients as loops: finite differences of the loops, PyTorch, the fast ops, and a few by hand."""

from typing import NamedTuple

import numpy as np
import pytest
from arrays import close, torch_gradients, torch_module
from hypothesis import assume, given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import away_from_zero, spaced, vjp_check
from fcn_from_scratch.ops import loops
from fcn_from_scratch.ops import loops_backward as back

SHAPE = (2, 3, 5, 4)


class Case(NamedTuple):
    """An op with its arguments: inputs, and functions of them."""

    inputs: tuple
    forward: object  # the loops: (*inputs) -> y
    backward: object  # the loops: (dy, *inputs) -> gradients
    torch: object  # PyTorch's: (torch, *tensors) -> y
    fast: object = None  # the package's: (dy, *inputs) -> gradients; None where it cannot do it


def listed(gradients):
    return list(gradients) if isinstance(gradients, tuple) else [gradients]


def rng():
    return np.random.default_rng(0)


def normal(*shapes):
    generator = rng()
    return tuple(generator.normal(size=shape) for shape in shapes)


# --- one function for each op: its case with the given arguments -----------------------------------------------


def conv2d(channels=(3, 4), kernel_size=(3, 2), **options):
    c, f = channels
    return Case(
        normal((2, c, 7, 8), (f, c // options.get("groups", 1), *kernel_size), f),
        lambda x, weight, bias: loops.conv2d_loops(x, weight, bias, **options),
        lambda dy, x, weight, bias: back.conv2d_backward_loops(dy, x, weight, **options),
        lambda torch, *tensors: torch.nn.functional.conv2d(*tensors, **options),
        lambda dy, x, weight, bias: ops.conv2d_backward(dy, x, weight, **options),
    )


def conv_transpose2d(channels=(3, 4), kernel_size=(3, 2), **options):
    c, f = channels
    return Case(
        normal((2, c, 3, 4), (c, f // options.get("groups", 1), *kernel_size), f),
        lambda x, weight, bias: loops.conv_transpose2d_loops(x, weight, bias, **options),
        lambda dy, x, weight, bias: back.conv_transpose2d_backward_loops(dy, x, weight, **options),
        lambda torch, *tensors: torch.nn.functional.conv_transpose2d(*tensors, **options),
        (lambda dy, x, weight, bias: ops.conv_transpose2d_backward(dy, x, weight, **options)),
    )


def linear():
    return Case(
        normal((2, 3), (4, 3), 4),
        loops.linear_loops,
        lambda dy, x, weight, bias: back.linear_backward_loops(dy, x, weight),
        lambda torch, *tensors: torch.nn.functional.linear(*tensors),
        lambda dy, x, weight, bias: ops.linear_backward(dy, x, weight),
    )


def max_pool2d(**options):
    x = spaced(rng(), SHAPE)
    indices = loops.max_pool2d_loops(x, **options)[1]
    return Case(
        (x,),
        lambda x: loops.max_pool2d_loops(x, **options)[0],
        lambda dy, x: back.max_pool2d_backward_loops(dy, indices, SHAPE),
        lambda torch, x: torch.nn.functional.max_pool2d(x, **options),
        lambda dy, x: ops.max_pool2d_backward(dy, indices, SHAPE),
    )


def avg_pool2d(**options):
    return Case(
        normal(SHAPE),
        lambda x: loops.avg_pool2d_loops(x, **options),
        lambda dy, x: back.avg_pool2d_backward_loops(dy, SHAPE, **options),
        lambda torch, x: torch.nn.functional.avg_pool2d(x, **options),
        lambda dy, x: ops.avg_pool2d_backward(dy, SHAPE, **options),
    )


def max_unpool2d():
    pooled, indices = loops.max_pool2d_loops(*normal(SHAPE), (2, 3), ceil_mode=True)
    return Case(
        (pooled,),
        lambda x: loops.max_unpool2d_loops(x, indices, SHAPE[2:]),
        lambda dy, x: back.max_unpool2d_backward_loops(dy, indices),
        lambda torch, x: torch.nn.functional.max_unpool2d(x, torch.tensor(indices), (2, 3), output_size=SHAPE[2:]),
        lambda dy, x: ops.max_unpool2d_backward(dy, indices),
    )


def upsample_nearest(scale):
    return Case(
        normal(SHAPE),
        lambda x: loops.upsample_nearest_loops(x, scale),
        lambda dy, x: back.upsample_nearest_backward_loops(dy, scale),
        lambda torch, x: torch.nn.functional.interpolate(x, scale_factor=scale, mode="nearest"),
        lambda dy, x: ops.upsample_nearest_backward(dy, scale),
    )


def bed_of_nails(scale):
    def by_torch(torch, x):
        sh, sw = scale
        y = torch.zeros(2, 3, sh * 5, sw * 4, dtype=x.dtype)
        y[:, :, ::sh, ::sw] = x
        return y

    return Case(
        normal(SHAPE),
        lambda x: loops.bed_of_nails_loops(x, scale),
        lambda dy, x: back.bed_of_nails_backward_loops(dy, scale),
        by_torch,
        lambda dy, x: ops.bed_of_nails_backward(dy, scale),
    )


def pixel_shuffle(r):
    return Case(
        normal((2, 3 * r * r, 3, 4)),
        lambda x: loops.pixel_shuffle_loops(x, r),
        lambda dy, x: back.pixel_shuffle_backward_loops(dy, r),
        lambda torch, x: torch.nn.functional.pixel_shuffle(x, r),
        lambda dy, x: ops.pixel_shuffle_backward(dy, r),
    )


def bilinear_upsample(kernel_size, stride, padding=0):
    rows = [1 - abs(np.arange(k) - (k - 1) / 2) / ((k + 1) // 2) for k in np.broadcast_to(kernel_size, 2)]
    weight = np.tile(np.outer(*rows), (3, 1, 1, 1))
    arguments = kernel_size, stride, padding
    return Case(
        normal(SHAPE),
        lambda x: loops.bilinear_upsample_loops(x, *arguments),
        lambda dy, x: back.bilinear_upsample_backward_loops(dy, SHAPE, *arguments),
        lambda torch, x: torch.nn.functional.conv_transpose2d(
            x, torch.tensor(weight, dtype=x.dtype), stride=stride, padding=padding, groups=3
        ),
        lambda dy, x: ops.bilinear_upsample_backward(dy, SHAPE, *arguments),
    )


def interpolate_bilinear(size, align_corners):
    return Case(
        normal(SHAPE),
        lambda x: loops.interpolate_bilinear_loops(x, size, align_corners),
        lambda dy, x: back.interpolate_bilinear_backward_loops(dy, SHAPE, align_corners),
        lambda torch, x: torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=align_corners),
        lambda dy, x: ops.interpolate_bilinear_backward(dy, SHAPE, align_corners),
    )


def crop():
    return Case(
        normal(SHAPE),
        lambda x: loops.crop_loops(x, (2, 1), (3, 2)),
        lambda dy, x: back.crop_backward_loops(dy, SHAPE, (2, 1)),
        lambda torch, x: x[:, :, 2:5, 1:3],
        lambda dy, x: ops.crop_backward(dy, SHAPE, (2, 1)),
    )


def relu():
    return Case(
        (away_from_zero(rng(), SHAPE),),
        loops.relu_loops,
        lambda dy, x: back.relu_backward_loops(dy, loops.relu_loops(x)),
        lambda torch, x: torch.relu(x),
        lambda dy, x: ops.relu_backward(dy, loops.relu_loops(x)),
    )


def dropout(mask_shape):
    mask = rng().random(mask_shape) < 0.6
    kept = mask.reshape(*mask.shape, *[1] * (4 - mask.ndim))
    return Case(
        normal(SHAPE),
        lambda x: loops.dropout_loops(x, mask, 0.3),
        lambda dy, x: back.dropout_backward_loops(dy, mask, 0.3),
        lambda torch, x: x * torch.tensor(kept) / 0.7,
        lambda dy, x: ops.dropout_backward(dy, mask, 0.3),
    )


def local_response_norm(size):
    arguments = size, 0.7, 0.6, 1.3
    return Case(
        normal((2, 5, 2, 3)),
        lambda x: loops.local_response_norm_loops(x, *arguments),
        lambda dy, x: back.local_response_norm_backward_loops(dy, x, *arguments),
        lambda torch, x: torch.nn.functional.local_response_norm(x, *arguments),
        lambda dy, x: ops.local_response_norm_backward(dy, x, *arguments),
    )


def softmax_cross_entropy(reduction, weighted=False, masked=False):
    generator = rng()
    labels = generator.integers(0, 3, (2, 5, 4))
    labels[generator.random(labels.shape) < 0.3] = 255
    weight = generator.random(3) if weighted else None
    mask = generator.random(labels.shape) * (generator.random(labels.shape) < 0.7) if masked else None
    options = {"reduction": reduction, "weight": weight, "mask": mask}

    def by_torch(torch, scores):
        cast = {"dtype": scores.dtype}
        w = torch.ones(3, **cast) if weight is None else torch.tensor(weight, **cast)
        kept, m = torch.tensor(labels), 1 if mask is None else torch.tensor(mask, **cast)
        total = (m * torch.nn.functional.cross_entropy(scores, kept, w, ignore_index=255, reduction="none")).sum()
        counted = (m * w[kept % 255] * (kept != 255)).sum()
        return total / counted if reduction == "mean" else total

    return Case(
        normal(SHAPE),
        lambda scores: loops.softmax_cross_entropy_loops(scores, labels, **options),
        lambda dy, scores: dy * back.softmax_cross_entropy_backward_loops(scores, labels, **options),
        by_torch,
        lambda dy, scores: dy * ops.softmax_cross_entropy(scores, labels, **options)[1],
    )


CASES = {
    "conv2d": conv2d(),
    "conv2d_strided_padded": conv2d(stride=(2, 3), padding=(1, 2)),
    "conv2d_dilated": conv2d(stride=(2, 1), padding=(2, 1), dilation=(3, 2)),
    "conv2d_groups": conv2d((4, 6), stride=(1, 2), padding=1, groups=2),
    "conv2d_depthwise": conv2d((3, 6), dilation=(1, 2), groups=3),
    "conv_transpose2d": conv_transpose2d(),
    "conv_transpose2d_strided_padded": conv_transpose2d(kernel_size=(5, 4), stride=(2, 3), padding=(1, 2)),
    "conv_transpose2d_output_padding": conv_transpose2d(stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    "conv_transpose2d_dilated": conv_transpose2d(stride=(2, 1), padding=(1, 2), dilation=(2, 3)),
    "conv_transpose2d_groups": conv_transpose2d((4, 6), stride=(2, 3), groups=2),
    "conv_transpose2d_all": conv_transpose2d(
        (6, 3), stride=(2, 3), padding=(2, 1), output_padding=(1, 2), groups=3, dilation=(3, 2)
    ),
    "linear": linear(),
    "max_pool2d": max_pool2d(kernel_size=(3, 2)),
    "max_pool2d_overlapping": max_pool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 1)),
    "max_pool2d_ceil": max_pool2d(kernel_size=2, stride=(2, 3), dilation=(2, 1), ceil_mode=True),
    "avg_pool2d": avg_pool2d(kernel_size=(3, 2)),
    "avg_pool2d_padded": avg_pool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 1)),
    "avg_pool2d_uncounted": avg_pool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 1), count_include_pad=False),
    "avg_pool2d_ceil": avg_pool2d(kernel_size=(4, 3), stride=(3, 2), padding=(2, 1), ceil_mode=True),
    "max_unpool2d": max_unpool2d(),
    "upsample_nearest": upsample_nearest((2, 3)),
    "bed_of_nails": bed_of_nails((2, 3)),
    "pixel_shuffle": pixel_shuffle(2),
    "pixel_shuffle_3": pixel_shuffle(3),
    "bilinear_upsample": bilinear_upsample(4, 2),
    "bilinear_upsample_pairs": bilinear_upsample((5, 4), (3, 2), (1, 2)),
    "bilinear_upsample_gaps": bilinear_upsample((2, 1), 3),
    "interpolate_bilinear_larger": interpolate_bilinear((9, 11), False),
    "interpolate_bilinear_larger_corners": interpolate_bilinear((9, 11), True),
    "interpolate_bilinear_smaller": interpolate_bilinear((2, 3), False),
    "interpolate_bilinear_one_row": interpolate_bilinear((1, 3), True),
    "crop": crop(),
    "relu": relu(),
    "dropout": dropout(SHAPE),
    "dropout_channels": dropout(SHAPE[:2]),
    "local_response_norm": local_response_norm(3),
    "local_response_norm_even": local_response_norm(4),
    "local_response_norm_all": local_response_norm(9),
    "softmax_cross_entropy_mean": softmax_cross_entropy("mean"),
    "softmax_cross_entropy_sum": softmax_cross_entropy("sum"),
    "softmax_cross_entropy_weighted": softmax_cross_entropy("mean", weighted=True),
    "softmax_cross_entropy_masked": softmax_cross_entropy("mean", weighted=True, masked=True),
    "softmax_cross_entropy_masked_sum": softmax_cross_entropy("sum", masked=True),
}

cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def upstream(case, rng):
    """A random gradient for the output of a case."""
    return np.asarray(rng.normal(size=np.shape(case.forward(*case.inputs))))


@cases
def test_finite_differences(rng, case):
    assert vjp_check(case.forward, lambda dy: case.backward(dy, *case.inputs), case.inputs, rng) < 1e-7


@pytest.mark.torch
@cases
def test_equals_torch(rng, case):
    torch, dy = torch_module(), upstream(case, rng)
    y, expected = torch_gradients(lambda *tensors: case.torch(torch, *tensors), case.inputs, dy)
    close(np.asarray(case.forward(*case.inputs)), y)
    gradients = listed(case.backward(dy, *case.inputs))
    assert len(gradients) == len(expected)
    for actual, gradient in zip(gradients, expected):
        close(actual, gradient)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.fast])
def test_the_fast_op_agrees(rng, name):
    case = CASES[name]
    dy = upstream(case, rng)
    for actual, expected in zip(listed(case.fast(dy, *case.inputs)), listed(case.backward(dy, *case.inputs))):
        close(actual, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@cases
def test_dtype_is_kept(rng, case, dtype):
    inputs = [x.astype(dtype) for x in case.inputs]
    for gradient in listed(case.backward(upstream(case, rng).astype(dtype), *inputs)):
        assert gradient.dtype == dtype


def test_every_op_has_a_backward_and_a_case():
    forwards = {name.removesuffix("_loops") for name in vars(loops) if name.endswith("_loops")}
    backwards = {name.removesuffix("_backward_loops") for name in vars(back) if name.endswith("_backward_loops")}
    assert backwards == forwards - {"bilinear_kernel"}
    for name in backwards:
        assert any(case.startswith(name) for case in CASES), name


class TestByHand:
    def test_conv2d(self):
        x, weight = np.array([[[[1.0, 2, 3]]]]), np.array([[[[5.0, 7]]]])
        dx, dweight, dbias = back.conv2d_backward_loops(np.array([[[[10.0, 100]]]]), x, weight)
        assert dx.tolist() == [[[[50, 70 + 500, 700]]]]
        assert dweight.tolist() == [[[[10 + 200, 20 + 300]]]]
        assert dbias.tolist() == [110]

    def test_conv_transpose2d(self):
        x, weight, dy = np.array([[[[1.0, 2]]]]), np.array([[[[5.0, 7]]]]), np.array([[[[1.0, 10, 100]]]])
        dx, dweight, dbias = back.conv_transpose2d_backward_loops(dy, x, weight)
        assert dx.tolist() == [[[[5 + 70, 50 + 700]]]]
        assert dweight.tolist() == [[[[1 + 20, 10 + 200]]]]
        assert dbias.tolist() == [111]

    def test_max_pool2d_adds_where_one_pixel_won_twice(self):
        indices = np.array([[[[4, 4], [0, 2]]]])
        dx = back.max_pool2d_backward_loops(np.array([[[[1.0, 10], [100, 1000]]]]), indices, (1, 1, 2, 3))
        assert dx.tolist() == [[[[100, 0, 1000], [0, 11, 0]]]]

    def test_avg_pool2d_shares_what_was_counted(self):
        dy, arguments = np.array([[[[6.0, 60]]]]), ((1, 1, 1, 3), (1, 2), 2, (0, 1))
        assert back.avg_pool2d_backward_loops(dy, *arguments).tolist() == [[[[3, 30, 30]]]]
        dx = back.avg_pool2d_backward_loops(dy, *arguments, count_include_pad=False)
        assert dx.tolist() == [[[[6, 30, 30]]]]

    def test_max_unpool2d_where_two_pixels_met(self):
        dy, indices = np.array([[[[1.0, 10, 100]]]]), np.array([[[[2, 0], [2, 1]]]])
        assert back.max_unpool2d_backward_loops(dy, indices).tolist() == [[[[100, 1], [100, 10]]]]

    def test_relu_at_the_kink_is_zero(self):
        dx = back.relu_backward_loops(np.array([2.0, -3, 4]), np.array([0.0, 1e-300, 5]))
        assert dx.tolist() == [0, -3, 4]

    def test_softmax_cross_entropy(self):
        # the probabilities are 1/4 and 3/4 in the first pixel, 1/2 and 1/2 in the second; the third is ignored
        scores = np.log([[[1.0, 1, 5], [3, 1, np.inf]]])
        labels = np.array([[0, 1, 255]])
        dscores = back.softmax_cross_entropy_backward_loops(scores, labels, reduction="sum")
        np.testing.assert_allclose(dscores, [[[-3 / 4, 1 / 2, 0], [3 / 4, -1 / 2, 0]]], rtol=1e-15)
        halves = back.softmax_cross_entropy_backward_loops(scores, labels)
        np.testing.assert_array_equal(halves, dscores / 2)
        assert (back.softmax_cross_entropy_backward_loops(scores, labels * 0 + 255) == 0).all()

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_softmax_cross_entropy_of_a_pixel_without_weight_is_zero(self, value):
        scores, labels = np.array([[[0.0, value], [0, 1]]]), np.array([[0, 1]])
        for options in ({"mask": np.array([[1, 0]])}, {"weight": np.array([1.0, 0])}):
            dscores = back.softmax_cross_entropy_backward_loops(scores, labels, **options)
            assert dscores.tolist() == [[[-0.5, 0], [0.5, 0]]]


class TestAdjoint:
    """The forward of a transposed convolution is the backward of a convolution, whatever the arguments."""

    @given(st.data())
    def test_conv_transpose2d(self, data):
        def number(low, high):
            return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

        groups, c, f = (data.draw(st.integers(1, 3)) for _ in range(3))
        size, kernel_size, stride = number(1, 7), number(1, 3), number(1, 3)
        padding, dilation = number(0, 2), number(1, 3)
        rooms = [n + 2 * p - d * (k - 1) - 1 for n, k, p, d in zip(size, kernel_size, padding, dilation)]
        assume(min(rooms) >= 0)
        generator = np.random.default_rng(0)
        x, weight = generator.normal(size=(2, groups * c, *size)), generator.normal(size=(groups * f, c, *kernel_size))
        dy = generator.normal(size=(2, groups * f, *(room // s + 1 for room, s in zip(rooms, stride))))
        # how many rows and columns at the end no window reaches
        left_over = tuple(room % s for room, s in zip(rooms, stride))

        dx, dweight, _ = back.conv2d_backward_loops(dy, x, weight, stride, padding, dilation, groups)
        transposed = loops.conv_transpose2d_loops(dy, weight, None, stride, padding, left_over, groups, dilation)
        close(transposed, dx)
        y, other, _ = back.conv_transpose2d_backward_loops(x, dy, weight, stride, padding, left_over, groups, dilation)
        close(y, loops.conv2d_loops(x, weight, None, stride, padding, dilation, groups))
        close(other, dweight)
