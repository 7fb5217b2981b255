"""The tricks predict what their definitions say, at the places that geometry gives."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import dense, geometry
from fcn_from_scratch.backend import get_array_module, to_device
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.compare import METHODS, Nets, Rarefied, Stitched, Whole, predictor
from fcn_from_scratch.lab.compare.measuring import predict
from fcn_from_scratch.lab.compare.predictors import filled_up, on_image
from fcn_from_scratch.layers import AvgPool2d, Conv2d, MaxPool2d, ReLU, Sequential

TRICKS = (Stitched, Rarefied)


def unpadded(rng):
    """A net of stride 4 with small whole numbers, so that its sums are exact."""
    net = Sequential(Conv2d(3, 4, 3), ReLU(), MaxPool2d(2), Conv2d(4, 5, (2, 3)), MaxPool2d(2), Conv2d(5, 2, 2))
    for array in net.params.values():
        array[...] = rng.integers(-2, 3, array.shape)
    return net.eval()


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("trick", TRICKS)
def test_without_padding_each_is_the_dense_output_at_every_stride_th_pixel(trick, stride, rng):
    net, x = unpadded(rng), rng.integers(-3, 4, (2, 3, 32, 40)).astype(np.float32)
    every = dense.shift_and_stitch(net, x)
    np.testing.assert_array_equal(trick(net, stride).fine(x), every[:, :, ::stride, ::stride])


@pytest.mark.parametrize(("stride", "passes"), [(32, 1), (8, 16), (4, 64), (1, 1024)])
def test_shift_and_stitch_takes_f_squared_passes(nets, stride, passes):
    assert Stitched(nets["32s"], stride).passes == passes
    assert Rarefied(nets["32s"], stride).passes == 1
    assert Stitched(nets["32s"], stride).stride == Rarefied(nets["32s"], stride).stride == stride


@pytest.mark.parametrize("trick", TRICKS)
def test_at_the_nets_own_stride_they_are_the_net(trick, nets, val):
    """FCN-32s interpolates the same scores. At the border its scores fade, all classes alike; the tricks' continue."""
    x = nets["32s"].transform(val[0].image)[None]
    ours, theirs = (net(x).argmax(axis=1) for net in (trick(nets["32s"], 32), nets["32s"]))
    assert (ours == theirs).mean() > 0.999


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("size", [(40, 32), (37, 43)])
def test_what_a_net_says_of_a_pixel_lands_on_that_pixel(trick, stride, size):
    """Along each axis, the mean of a ramp over a window is the ramp's value at the window's centre."""
    net = Sequential(AvgPool2d(2), AvgPool2d(2), AvgPool2d(3, 1))
    ramp = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"))[None].astype(np.float64)
    field = geometry.receptive_field(net)
    found = trick(net, stride)(ramp)
    inside = tuple(slice(int(field.start) + 1, n - field.size - 3) for n in size)
    np.testing.assert_allclose(found[(..., *inside)], ramp[(..., *inside)], atol=1e-9)


@given(st.data())
def test_scores_that_are_linear_in_their_place_stay_so(data):
    stride = data.draw(st.sampled_from([1, 2, 4, 8]))
    start = data.draw(st.integers(-9, 9)) + data.draw(st.sampled_from([Fraction(0), Fraction(1, 2)]))
    cells, size = (tuple(data.draw(st.integers(1, most)) for _ in range(2)) for most in (5, 30))
    field = geometry.ReceptiveField((geometry.Axis(Fraction(5), Fraction(stride), start),) * 2)
    places = [float(start) + stride * np.arange(n) for n in cells]
    scores = np.stack(np.meshgrid(*places, indexing="ij"))[None]
    pixels = [np.clip(np.arange(n), at[0], at[-1]) for n, at in zip(size, places)]
    expected = np.stack(np.meshgrid(*pixels, indexing="ij"))[None]
    np.testing.assert_allclose(on_image(scores, field, size), expected, atol=1e-9)


def test_an_image_is_filled_up_behind_its_end(rng):
    x = rng.normal(size=(2, 3, 5, 8))
    whole = filled_up(x, 4)
    assert whole.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(whole[:, :, :5], x)
    assert not whole[:, :, 5:].any()


def counted(net, x):
    """The multiply-adds of a chain's convolutions over x, counted from their output maps."""
    total = 0
    for layer in net.layers:
        x = layer(x)
        if isinstance(layer, Conv2d):
            total += x.size * layer.params["weight"][0].size
    return total


@pytest.mark.parametrize("stride", [2, 4])
def test_the_work_is_that_of_all_passes_and_of_the_interpolation(stride, rng):
    net, size = unpadded(rng), (30, 40)  # padded to 32 x 40
    x = np.zeros((1, 3, 32, 40), np.float32)
    f = 4 // stride
    moved = [np.pad(x, ((0, 0), (0, 0), (a * stride, 0), (b * stride, 0))) for a in range(f) for b in range(f)]
    # receptive field 14 x 16: cells lie halfway between pixels, so the kernel is 2 * stride wide
    interpolation = 2 * (32 // stride + 1) * (40 // stride + 1) * (2 * stride) ** 2
    assert Stitched(net, stride).multiply_adds(size) == sum(counted(net, one) for one in moved) + interpolation
    assert Rarefied(net, stride).multiply_adds(size) == counted(dense.rarefy(net, stride), x) + interpolation


def test_a_stride_that_does_not_divide_is_refused(nets):
    for trick in TRICKS:
        with pytest.raises(InputError, match=r"32 to one of its divisors; 5 is none"):
            trick(nets["32s"], 5)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_predicts_at_the_images_size(name, nets, rng):
    one = predictor(METHODS[name], nets, 16)
    for size in ((64, 64), (45, 70)):
        assert one(rng.normal(size=(1, 3, *size)).astype(np.float32)).shape == (1, 6, *size)
        assert one.multiply_adds(size) > 0
    assert one.parameters == sum(array.size for array in nets[METHODS[name].stage].params.values())


def test_strides_and_ways(nets):
    strides = {name: predictor(METHODS[name], nets, 8).stride for name in METHODS}
    assert strides.pop("16s") == strides.pop("16s-staged") == 16
    assert strides.pop("unpool") == 1
    assert strides == {
        "nearest": 32,
        "32s-fixed": 32,
        "32s": 32,
        "learned": 32,
        "stitch": 8,
        "rarefy": 8,
        "dilated": 8,
        "8s": 8,
        "8s-staged": 8,
        "concat": 8,
    }


def test_nearest_repeats_the_coarse_scores_of_the_same_weights(nets, val):
    x = nets["32s"].transform(val[0].image)[None]
    coarse = Sequential(*nets["32s"].coarse_path).eval()(x)
    repeated = coarse.repeat(32, axis=2).repeat(32, axis=3)[:, :, 16:80, 16:112]  # cell 0 lies on pixel -0.5
    np.testing.assert_array_equal(predictor(METHODS["nearest"], nets, 8)(x), repeated)


def test_a_whole_network_costs_what_geometry_counts(nets):
    net = nets["8s"]
    assert Whole(net).multiply_adds((64, 96)) == geometry.table(net, (64, 96)).multiply_adds


def test_the_tricks_follow_the_arrays(xp, nets, settings, train, val):
    """The predictors compute on the device of the arrays, with the results of the CPU."""
    there = Nets(settings, train, device="cpu" if xp is np else "cuda", progress=False, say=lambda text: None)
    there._made["32s"] = there.fresh("32s").eval()
    there["32s"].load_state_dict(nets["32s"].state_dict())
    there["32s"].to(there.device)
    x = nets["32s"].transform(val[0].image)[None]
    for name in ("nearest", "stitch", "rarefy"):
        ours = predict(predictor(METHODS[name], nets, 16), x)
        theirs = predict(predictor(METHODS[name], there, 16), to_device(x, there.device))
        assert (ours == theirs).mean() > 0.99


def test_training_follows_the_device(xp, settings, train, nets):
    there = Nets(settings, train, device="cpu" if xp is np else "cuda", progress=False, say=lambda text: None)
    weights = [net["trunk"].state_dict()["conv3_1.weight"] for net in (there, nets)]
    np.testing.assert_allclose(*weights, rtol=1e-3, atol=1e-5)
    assert get_array_module(there["trunk"].params["conv1_1.weight"]) is xp
