"""The layer ShiftAndStitch: each output is the net on its own window, in both forms, and so is the gradient."""

import gc
import weakref

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.gradcheck import layer_check, spaced
from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential, ShiftAndStitch

BOTH = pytest.mark.parametrize("form", ["drop", "shift"])
STRIDE, FIELD = (4, 6), (9, 14)  # of the net below, by hand: 2*2*1, 1*3*2; 3 + 1*2 + 1*4, 3 + 2*1 + 3*3


def small_net(dtype=np.float64):
    """Three layers that stride, differently by axis, with whole-number weights: every sum below is exact."""
    rng = np.random.default_rng(7)
    net = Sequential(
        Conv2d(3, 4, 3, stride=(2, 1), dtype=dtype, name="conv1"),
        ReLU(),
        MaxPool2d((2, 3), (2, 3)),
        Conv2d(4, 2, (2, 4), stride=(1, 2), dtype=dtype, name="conv2"),
    )
    for array in net.params.values():
        array[...] = rng.integers(-4, 5, array.shape)
    return net


def smooth_net():
    """Output stride 2; the max-pool comes first, where the test knows that values lie apart."""
    rng = np.random.default_rng(7)
    conv = Conv2d(3, 4, (2, 1), (1, 2), (1, 0), rng=rng, dtype=np.float64, name="conv")
    return Sequential(MaxPool2d(2, (2, 1)), conv)


def windows(x):
    """Every window of the small net's field, and where its output stands."""
    for i, j in np.ndindex(x.shape[2] - FIELD[0] + 1, x.shape[3] - FIELD[1] + 1):
        yield (i, j), (..., slice(i, i + FIELD[0]), slice(j, j + FIELD[1]))


class TestForward:
    @BOTH
    @pytest.mark.parametrize("size", [(18, 23), (14, 21), (10, 14), (9, 14)])
    def test_each_pixel_is_the_net_on_its_own_window(self, form, size, rng):
        """In the smaller images some passes have fewer outputs than others, or none."""
        net, x = small_net(), rng.integers(-9, 10, (2, 3, *size)).astype(float)
        expected = np.empty((2, 2, size[0] - 8, size[1] - 13))
        for (i, j), window in windows(x):
            expected[:, :, i, j] = net(x[window])[:, :, 0, 0]
        np.testing.assert_array_equal(ShiftAndStitch(net, STRIDE, form)(x), expected)

    @BOTH
    def test_every_fth_output_is_the_nets(self, form, rng):
        net, x = smooth_net(), rng.normal(size=(2, 3, 9, 8))  # padded: still true, the first pass is the image itself
        close(ShiftAndStitch(net, 2, form)(x)[:, :, ::2, ::2], net(x))

    def test_stride_one_is_the_net(self, rng):
        net, x = Conv2d(3, 4, 3, rng=rng), rng.normal(size=(2, 3, 6, 7))
        np.testing.assert_array_equal(ShiftAndStitch(net, 1)(x), net(x))

    def test_wrong_direction_is_another_map(self, rng):
        """Each pass's outputs counted from the wrong end: the same numbers, in the wrong places."""
        net, x = small_net(), rng.integers(-9, 10, (1, 3, 16, 25)).astype(float)
        right = ShiftAndStitch(net, STRIDE)(x)
        swapped = np.empty_like(right)
        for a, b in np.ndindex(STRIDE):
            swapped[:, :, 3 - a :: 4, 5 - b :: 6] = net(x[:, :, a:, b:])
        assert sorted(swapped.ravel()) == sorted(right.ravel())
        assert (swapped != right).mean() > 0.5

    def test_runs_where_its_arrays_are(self, xp, rng):
        x = rng.integers(-9, 10, (1, 3, 13, 17)).astype(float)
        layer, twin = ShiftAndStitch(small_net(), STRIDE), ShiftAndStitch(small_net(), STRIDE, "shift")
        device = "cpu" if xp is np else "cuda"
        y, there = layer(x), twin.to(device)(to_device(x, device))
        assert isinstance(there, xp.ndarray)
        np.testing.assert_array_equal(to_numpy(there), y)
        dy = rng.normal(size=y.shape)
        close(twin.backward(to_device(dy, device)), layer.backward(dy))

    @pytest.mark.parametrize("form", ["drop", "shift"])
    def test_float32_stays(self, form, rng):
        layer = ShiftAndStitch(small_net(np.float32), STRIDE, form)
        y = layer(rng.normal(size=(1, 3, 13, 17)).astype(np.float32))
        assert {y.dtype, layer.backward(y).dtype} == {np.dtype(np.float32)}


class TestBackward:
    @BOTH
    def test_gradients(self, form, rng):
        layer = ShiftAndStitch(smooth_net(), 2, form)
        errors = layer_check(layer, spaced(rng, (2, 3, 7, 6)), rng)
        assert list(errors) == ["dx", "net.conv.weight", "net.conv.bias"]
        assert max(errors.values()) < 1e-7

    @BOTH
    def test_is_the_sum_over_all_windows(self, form, rng):
        net, x = small_net(), rng.integers(-9, 10, (2, 3, 14, 18)).astype(float)
        layer = ShiftAndStitch(net, STRIDE, form)
        dy = rng.normal(size=layer(x).shape)
        dx = layer.backward(dy)
        grads = {name: gradient.copy() for name, gradient in net.grads.items()}
        net.zero_grad()
        expected = np.zeros_like(x)
        for (i, j), window in windows(x):
            net(x[window])
            expected[window] += net.backward(dy[:, :, i : i + 1, j : j + 1])
        close(dx, expected)
        for name in grads:
            close(grads[name], net.grads[name])

    def test_backward_params_fills_the_same_grads(self, rng):
        layer = ShiftAndStitch(small_net(), STRIDE)
        dy = rng.normal(size=layer(rng.normal(size=(1, 3, 13, 17))).shape)
        layer.backward(dy)
        both = {name: gradient.copy() for name, gradient in layer.grads.items()}
        layer.zero_grad()
        layer.backward_params(dy)
        for name in both:
            np.testing.assert_array_equal(layer.grads[name], both[name])

    def test_dropout_repeats_its_masks(self, rng):
        """Backward runs the passes again: with the masks of the first time, and the stream goes on where it was."""
        drop = Dropout(0.5, rng=np.random.default_rng(3))
        layer = ShiftAndStitch(Sequential(drop, MaxPool2d(1, 2)), 2)
        x = rng.normal(size=(1, 2, 6, 6))
        y = layer(x)
        drop.rng.random(3)  # somebody else draws too
        after = drop.rng.bit_generator.state
        dy = rng.normal(size=y.shape)
        kept = np.where(y == 0, 0, dy / 0.5)  # the pool only picks pixels: each has its own mask and its own gradient
        close(layer.backward(dy), kept)
        assert 0 < (y == 0).sum() < y.size
        assert drop.rng.bit_generator.state == after
        assert list(layer.generators()) == ["net.0.rng"]

    def test_eval_keeps_nothing(self, rng):
        layer = ShiftAndStitch(small_net(), STRIDE).eval()
        x = rng.normal(size=(1, 3, 13, 17))
        dy, held = layer(x), weakref.ref(x)
        with pytest.raises(RuntimeError, match="before forward"):
            layer.backward(dy)
        del x
        gc.collect()
        assert held() is None


class TestErrors:
    def test_another_stride_than_the_nets(self, rng):
        with refuses("do not interlace", "Is (8, 6) the output stride of the net?"):
            ShiftAndStitch(small_net(), (8, 6))(rng.normal(size=(1, 3, 21, 30)))

    def test_the_image_itself_is_too_small(self, rng):
        with refuses("more than its input"):
            ShiftAndStitch(small_net(), STRIDE)(rng.normal(size=(1, 3, 8, 14)))

    def test_what_is_no_map(self, rng):
        with refuses("the output of the net, a map, must have shape (N, C, h, w); got shape (2, 48)"):
            ShiftAndStitch(Flatten(), 2)(rng.normal(size=(2, 3, 4, 4)))

    def test_arguments(self):
        with refuses("form must be one of 'drop', 'shift'; got 'left'"):
            ShiftAndStitch(ReLU(), 2, "left")
        with refuses("stride must be at least 1; got 0"):
            ShiftAndStitch(ReLU(), 0)
