"""The definitions themselves: computed by hand for tiny cases, and compared with PyTorch on larger ones."""

import math

import numpy as np
import pytest
from arrays import close, torch_module

from fcn_from_scratch.ops import loops


def plane(*rows):
    """One image of one channel."""
    return np.array(rows, float)[None, None]


COUNT = plane([1, 2, 3], [4, 5, 6], [7, 8, 9])


class TestByHand:
    def test_conv2d_does_not_flip_the_kernel(self):
        y = loops.conv2d_loops(COUNT, plane([1, 0], [0, -2]), np.array([10.0]))
        assert y.tolist() == [[[[1 - 10 + 10, 2 - 12 + 10], [4 - 16 + 10, 5 - 18 + 10]]]]

    def test_conv2d_stride_and_padding(self):
        y = loops.conv2d_loops(COUNT, plane([1, 10]), stride=(2, 3), padding=(0, 1))
        # columns 0 and 3 of [0 1 2 3 0], of rows 0 and 2
        assert y.tolist() == [[[[10, 3], [70, 9]]]]

    def test_conv2d_dilation(self):
        assert loops.conv2d_loops(COUNT, plane([1, 10], [100, 1000]), dilation=2).tolist() == [[[[9731]]]]

    def test_conv2d_groups_do_not_see_each_other(self):
        x = np.arange(1.0, 5).reshape(1, 4, 1, 1)
        weight = np.array([[1, 10], [100, 1000]], float).reshape(2, 2, 1, 1)
        assert loops.conv2d_loops(x, weight, groups=2).ravel().tolist() == [21, 4300]

    def test_conv_transpose2d_copies_overlap_and_add(self):
        y = loops.conv_transpose2d_loops(plane([1, 10]), plane([1, 2, 3]), np.array([0.5]), stride=2)
        assert y.tolist() == [[[[1.5, 2.5, 13.5, 20.5, 30.5]]]]

    def test_conv_transpose2d_padding_cuts_the_rim(self):
        y = loops.conv_transpose2d_loops(plane([1, 10]), plane([1, 2, 3]), stride=(1, 2), padding=(0, 1))
        assert y.tolist() == [[[[2, 13, 20]]]]

    def test_conv_transpose2d_output_padding_adds_rows_and_columns_at_the_end(self):
        y = loops.conv_transpose2d_loops(plane([1, 10]), plane([1, 2, 3]), stride=2, output_padding=1)
        assert y.tolist() == [[[[1, 2, 13, 20, 30, 0], [0] * 6]]]
        # what the padding had cut off on the right is there again
        y = loops.conv_transpose2d_loops(plane([1, 10]), plane([1, 2, 3]), None, 2, (0, 1), (0, 1))
        assert y.tolist() == [[[[2, 13, 20, 30]]]]

    def test_conv_transpose2d_dilation(self):
        y = loops.conv_transpose2d_loops(plane([1, 10]), plane([1, 2], [3, 4]), dilation=(1, 3))
        assert y.tolist() == [[[[1, 10, 0, 2, 20], [3, 30, 0, 4, 40]]]]

    def test_conv_transpose2d_groups_do_not_see_each_other(self):
        x = np.arange(1.0, 5).reshape(1, 4, 1, 1)
        weight = np.array([[1, 10], [100, 1000]] * 2, float).reshape(4, 2, 1, 1)
        y = loops.conv_transpose2d_loops(x, weight, np.array([0, 0, 0, 0.5]), groups=2)
        assert y.ravel().tolist() == [201, 2010, 403, 4030.5]

    def test_linear(self):
        y = loops.linear_loops(np.array([[1.0, 2]]), np.array([[3.0, 4], [5, 6]]), np.array([0, 100.0]))
        assert y.tolist() == [[11, 117]]

    def test_max_pool2d_takes_the_first_of_equals_and_the_partial_window(self):
        x = plane([5, 5, 1], [5, 5, 2], [-3, -4, -9])
        y, indices = loops.max_pool2d_loops(x, 2, ceil_mode=True)
        assert y.tolist() == [[[[5, 2], [-3, -9]]]]
        assert indices.tolist() == [[[[0, 5], [6, 8]]]]
        assert loops.max_pool2d_loops(x, 2)[1].tolist() == [[[[0]]]]

    def test_max_pool2d_padding_never_wins(self):
        y, indices = loops.max_pool2d_loops(plane([-7, -8], [-9, -6]), 2, stride=2, padding=1)
        assert y.tolist() == [[[[-7, -8], [-9, -6]]]]
        assert indices.tolist() == [[[[0, 1], [2, 3]]]]

    def test_avg_pool2d_counts(self):
        counted = loops.avg_pool2d_loops(COUNT, 2, padding=1)
        assert counted.tolist() == [[[[1 / 4, 5 / 4], [11 / 4, 28 / 4]]]]
        uncounted = loops.avg_pool2d_loops(COUNT, 2, padding=1, count_include_pad=False)
        assert uncounted.tolist() == [[[[1, 5 / 2], [11 / 2, 28 / 4]]]]

    def test_avg_pool2d_never_counts_what_hangs_over(self):
        assert loops.avg_pool2d_loops(COUNT, 2, ceil_mode=True).tolist() == [[[[3, 4.5], [7.5, 9]]]]

    def test_ceil_mode_drops_a_window_that_would_begin_in_the_right_padding(self):
        # n = 3, k = 1, s = 3, p = 0 would begin a second window at 3, beyond the last pixel 2
        assert loops.pooled_size(3, 1, 3, 0, 1, ceil_mode=True) == 1
        assert loops.pooled_size(4, 1, 3, 0, 1, ceil_mode=True) == 2
        assert loops.pooled_size(5, 2, 3, 0, 1, ceil_mode=True) == 2
        assert loops.pooled_size(6, 2, 3, 1, 1, ceil_mode=True) == 3
        assert loops.pooled_size(5, 2, 3, 1, 1, ceil_mode=True) == 2

    def test_max_unpool2d(self):
        y = loops.max_unpool2d_loops(plane([7, 8]), np.array([[[[4, 1]]]]), (2, 3))
        assert y.tolist() == [[[[0, 8, 0], [0, 7, 0]]]]

    def test_nearest_and_nails(self):
        x = plane([1, 2])
        assert loops.upsample_nearest_loops(x, (2, 3)).tolist() == [[[[1, 1, 1, 2, 2, 2]] * 2]]
        assert loops.bed_of_nails_loops(x, (2, 3)).tolist() == [[[[1, 0, 0, 2, 0, 0], [0] * 6]]]

    def test_pixel_shuffle(self):
        x = np.arange(1.0, 17).reshape(1, 8, 1, 2)
        assert loops.pixel_shuffle_loops(x, 2).tolist() == [
            [[[1, 3, 2, 4], [5, 7, 6, 8]], [[9, 11, 10, 12], [13, 15, 14, 16]]]
        ]

    def test_bilinear_kernels(self):
        even = np.array([1, 3, 3, 1]) / 4
        odd = np.array([1, 2, 3, 2, 1]) / 3
        assert loops.bilinear_kernel_loops(4).tolist() == np.outer(even, even).tolist()
        np.testing.assert_allclose(loops.bilinear_kernel_loops(5), np.outer(odd, odd), rtol=1e-15)
        assert loops.bilinear_kernel_loops(1).tolist() == [[1]]

    def test_bilinear_upsample(self):
        x = np.array([[[[4.0, 8]], [[0, 40]]]])
        y = loops.bilinear_upsample_loops(x, (1, 4), (1, 2))
        assert y.tolist() == [[[[1, 3, 5, 7, 6, 2]], [[0, 0, 10, 30, 30, 10]]]]
        assert loops.bilinear_upsample_loops(x, (1, 4), (1, 2), (0, 1))[:, :1].tolist() == [[[[3, 5, 7, 6]]]]
        tall = loops.bilinear_upsample_loops(plane([1]), (2, 3), 1)
        assert tall.tolist() == [[[[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]]]

    def test_interpolate_bilinear(self):
        x = plane([0, 4])
        assert loops.interpolate_bilinear_loops(x, (1, 4)).tolist() == [[[[0, 1, 3, 4]]]]
        assert loops.interpolate_bilinear_loops(x, (1, 5), align_corners=True).tolist() == [[[[0, 1, 2, 3, 4]]]]
        assert loops.interpolate_bilinear_loops(x, (2, 1), align_corners=True).tolist() == [[[[0], [0]]]]
        assert loops.interpolate_bilinear_loops(x, (2, 1)).tolist() == [[[[2], [2]]]]

    def test_crop(self):
        assert loops.crop_loops(COUNT, (1, 0), (2, 1)).tolist() == [[[[4], [7]]]]

    def test_relu(self):
        y = loops.relu_loops(np.array([-1.0, 0, 2, np.nan]))
        np.testing.assert_array_equal(y, [0, 0, 2, np.nan])

    def test_dropout(self):
        x = np.array([[[[2.0, 3]], [[4, 5]]]])
        assert loops.dropout_loops(x, x > 2, 0.75).ravel().tolist() == [0, 12, 16, 20]
        assert loops.dropout_loops(x, np.array([[True, False]]), 0.5).ravel().tolist() == [4, 6, 0, 0]

    @pytest.mark.parametrize(("size", "sums"), [(1, [1, 4, 9]), (2, [1, 5, 13]), (3, [5, 14, 13])])
    def test_local_response_norm_windows(self, size, sums):
        x = np.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
        y = loops.local_response_norm_loops(x, size, alpha=0.5 * size, beta=2, k=3)
        np.testing.assert_allclose(y.ravel(), [v / (3 + 0.5 * s) ** 2 for v, s in zip([1, 2, 3], sums)])

    def test_softmax_cross_entropy(self):
        # two classes; the pixel above has the probabilities 1/2 and 1/2, the one below 3/4 and 1/4
        scores = np.log([[[[1.0], [3]], [[1], [1]]]])
        losses = [math.log(2), math.log(4)]
        labels = np.array([[[0], [1]]])

        def loss(labels=labels, **options):
            return loops.softmax_cross_entropy_loops(scores, labels, **options)

        assert loss(reduction="sum") == pytest.approx(sum(losses))
        assert loss() == pytest.approx(sum(losses) / 2)
        assert loss(np.array([[[255], [1]]])) == pytest.approx(losses[1])
        assert loss(weight=np.array([3.0, 1])) == pytest.approx((3 * losses[0] + losses[1]) / 4)
        assert loss(mask=np.array([[[True], [False]]])) == pytest.approx(losses[0])
        assert loss(labels * 0, ignore_index=0) == 0

    def test_softmax_cross_entropy_of_large_scores(self):
        assert loops.softmax_cross_entropy_loops(np.array([[1e4, 0]]), np.array([1])) == 1e4


@pytest.mark.torch
class TestAgainstTorch:
    @pytest.fixture
    def F(self):
        return torch_module().nn.functional

    @staticmethod
    def same(actual, expected):
        close(actual, expected.numpy())

    @pytest.mark.parametrize(
        ("channels", "options"),
        [
            ((3, 4), {}),
            ((3, 4), {"stride": (2, 3), "padding": (1, 2)}),
            ((3, 4), {"padding": (2, 1), "dilation": (3, 2)}),
            ((4, 6), {"stride": (1, 2), "groups": 2}),
        ],
    )
    def test_conv2d(self, F, rng, channels, options):
        c, f = channels
        x, bias = rng.normal(size=(2, c, 7, 8)), rng.normal(size=f)
        weight = rng.normal(size=(f, c // options.get("groups", 1), 3, 2))
        y = loops.conv2d_loops(x, weight, bias, **options)
        self.same(y, F.conv2d(*map(torch_module().tensor, (x, weight, bias)), **options))

    @pytest.mark.parametrize(
        ("channels", "options"),
        [
            ((3, 4), {}),
            ((3, 4), {"stride": (2, 3), "padding": (1, 0)}),
            ((3, 4), {"stride": 4}),
            ((3, 4), {"stride": (2, 3), "padding": (3, 0), "output_padding": (1, 2)}),
            ((3, 4), {"dilation": (2, 3), "padding": (1, 2), "output_padding": (1, 0)}),
            ((4, 6), {"stride": (2, 1), "groups": 2}),
        ],
    )
    def test_conv_transpose2d(self, F, rng, channels, options):
        c, f = channels
        x, bias = rng.normal(size=(2, c, 3, 4)), rng.normal(size=f)
        weight = rng.normal(size=(c, f // options.get("groups", 1), 5, 2))
        y = loops.conv_transpose2d_loops(x, weight, bias, **options)
        self.same(y, F.conv_transpose2d(*map(torch_module().tensor, (x, weight, bias)), **options))

    POOLS = (
        {"kernel_size": (3, 2)},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    )

    @pytest.mark.parametrize("options", [*POOLS, {"kernel_size": (2, 3), "stride": 1, "dilation": (3, 2)}])
    @pytest.mark.parametrize("special", [False, True])
    def test_max_pool2d(self, F, rng, options, special):
        x = rng.integers(0, 4, (2, 3, 8, 7)).astype(float)  # with ties
        if special:
            x[rng.random(x.shape) < 0.2] = np.nan
            x[rng.random(x.shape) < 0.4] = -np.inf
        y, indices = loops.max_pool2d_loops(x, **options)
        expected, expected_indices = F.max_pool2d(torch_module().tensor(x), return_indices=True, **options)
        self.same(y, expected)
        np.testing.assert_array_equal(indices, expected_indices.numpy())

    @pytest.mark.parametrize("options", POOLS)
    @pytest.mark.parametrize("count_include_pad", [True, False])
    def test_avg_pool2d(self, F, rng, options, count_include_pad):
        x = rng.normal(size=(2, 3, 8, 7))
        y = loops.avg_pool2d_loops(x, **options, count_include_pad=count_include_pad)
        self.same(y, F.avg_pool2d(torch_module().tensor(x), **options, count_include_pad=count_include_pad))

    def test_max_unpool2d(self, F, rng):
        x = rng.normal(size=(2, 3, 6, 9))
        y, indices = F.max_pool2d(torch_module().tensor(x), (2, 3), return_indices=True)
        expected = F.max_unpool2d(y, indices, (2, 3), output_size=(6, 9))
        self.same(loops.max_unpool2d_loops(y.numpy(), indices.numpy(), (6, 9)), expected)

    def test_upsample_nearest(self, F, rng):
        x = rng.normal(size=(2, 3, 3, 4))
        expected = F.interpolate(torch_module().tensor(x), scale_factor=(2, 3), mode="nearest")
        self.same(loops.upsample_nearest_loops(x, (2, 3)), expected)

    @pytest.mark.parametrize("r", [1, 2, 3])
    def test_pixel_shuffle(self, F, rng, r):
        x = rng.normal(size=(2, 3 * r * r, 3, 4))
        self.same(loops.pixel_shuffle_loops(x, r), F.pixel_shuffle(torch_module().tensor(x), r))

    @pytest.mark.parametrize("align_corners", [False, True])
    @pytest.mark.parametrize("size", [(8, 13), (3, 2), (1, 1), (5, 7), (10, 3)])
    def test_interpolate_bilinear(self, F, rng, size, align_corners):
        x = rng.normal(size=(2, 3, 5, 6))
        expected = F.interpolate(torch_module().tensor(x), size=size, mode="bilinear", align_corners=align_corners)
        self.same(loops.interpolate_bilinear_loops(x, size, align_corners), expected)

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
    def test_local_response_norm(self, F, rng, size):
        x = rng.normal(size=(2, 5, 2, 3))
        expected = F.local_response_norm(torch_module().tensor(x), size, alpha=0.7, beta=0.6, k=1.3)
        self.same(loops.local_response_norm_loops(x, size, 0.7, 0.6, 1.3), expected)

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_softmax_cross_entropy(self, F, rng, reduction, weighted):
        tensor = torch_module().tensor
        scores, labels = 5 * rng.normal(size=(2, 4, 3, 5)), rng.integers(0, 4, (2, 3, 5))
        labels[rng.random(labels.shape) < 0.3] = 255
        weight = rng.random(4) if weighted else None
        expected = F.cross_entropy(
            tensor(scores),
            tensor(labels),
            weight=tensor(weight) if weighted else None,
            ignore_index=255,
            reduction=reduction,
        )
        loss = loops.softmax_cross_entropy_loops(scores, labels, reduction=reduction, weight=weight)
        assert loss == pytest.approx(expected.item(), rel=1e-12)
