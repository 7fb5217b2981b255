"""Winograd: the matrices in fractions, the additions that replace them, and convolutions against the loops."""

from fractions import Fraction

import numpy as np
import pytest
import winograd_accuracy
from arrays import LAYOUTS, close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.engine import conv, threads, winner_indices, winograd_tiles
from fcn_from_scratch.engine import winograd_transforms as transforms
from fcn_from_scratch.engine.winograd import (
    transformed_weight,
    winograd_conv2d,
    winograd_conv2d_relu_pool,
    winograd_input_grad,
)
from fcn_from_scratch.engine.winograd_weight_grad import winograd_weight_grad
from fcn_from_scratch.ops import loops
from fcn_from_scratch.ops.shapes import conv_geometry, pool_geometry

A, G, B = transforms.cook_toom(transforms.POINTS, 4, 3)  # B is B^T: its rows make the rows of the product

fractions = st.fractions(-5, 5, max_denominator=6)


def times(matrix, vector):
    return [sum(m * v for m, v in zip(row, vector)) for row in matrix]


def transposed(matrix):
    return list(zip(*matrix))


class TestMatrices:
    @given(st.data())
    def test_exact_for_any_points(self, data):
        outputs, taps = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
        inputs = outputs + taps - 1
        points = data.draw(st.lists(fractions, min_size=inputs - 1, max_size=inputs - 1, unique=True))
        d = data.draw(st.lists(fractions, min_size=inputs, max_size=inputs))
        g = data.draw(st.lists(fractions, min_size=taps, max_size=taps))
        a, gg, b = transforms.cook_toom(points, outputs, taps)
        y = times(transposed(a), [u * v for u, v in zip(times(gg, g), times(b, d))])
        assert y == [sum(d[i + k] * g[k] for k in range(taps)) for i in range(outputs)]

    def test_the_usual_points_give_numbers_that_floats_hold_but_for_the_kernel(self):
        assert {x.denominator for row in [*A, *B] for x in row} <= {1, 2, 4, 8}
        assert max(abs(x) for row in [*A, *B] for x in row) == 8
        assert G[2] == [Fraction(n, 3) for n in (-1, 1, -1)]
        np.testing.assert_array_equal(transforms.INPUT, np.array(B, float))
        np.testing.assert_array_equal(transforms.OUTPUT, np.array(A, float).T)

    @pytest.mark.parametrize("points", [(0, 1, -1, 2), (0, 1, -1, 2, 2), (0, 1, -1, 2, -2, 3)])
    def test_points_that_do_not_fit(self, points):
        with refuses("F(4, 3)", "5 different points", str(points)):
            transforms.cook_toom(points, 4, 3)

    def test_the_frequency_of_the_bias_reaches_every_output_alike(self):
        single = np.zeros((6, 6))
        single[np.unravel_index(7, (6, 6))] = 1
        a = np.array(A, float)
        np.testing.assert_array_equal(a.T @ single @ a, np.ones((4, 4)))

    @pytest.mark.parametrize("turned", [False, True])
    def test_kernel(self, xp, rng, turned):
        weight, g = rng.normal(size=(3, 4, 3, 3)), np.array(G, float)
        kernel = xp.empty((36, 3, 4))
        transforms.transform_kernel(xp, xp.asarray(weight), kernel, turned)
        used = weight[:, :, ::-1, ::-1] if turned else weight
        expected = np.einsum("ai,fcij,bj->bafc", g, used, g)  # columns first
        close(kernel, expected.reshape(36, 3, 4))

    def test_kernel_adjoint(self, rng):
        weight, dkernel = rng.normal(size=(3, 4, 3, 3)), rng.normal(size=(36, 3, 4))
        kernel = np.empty(dkernel.shape)
        transforms.transform_kernel(np, weight, kernel)
        forward = np.vdot(dkernel, kernel)
        before = rng.normal(size=weight.shape)
        dweight = transforms.transform_kernel_adjoint(np, dkernel, before.copy()) - before
        assert np.vdot(dweight, weight) == pytest.approx(forward)


SIZES = [(9, 11), (4, 3), (1, 1), (3, 5), (8, 12), (13, 2)]
PADDINGS = [(0, 0), (1, 1), (2, 2), (0, 2), (1, 0), (5, 3)]


def reach(size, padding):
    return size + 2 * padding


def arrays(rng, size, padding, n=2, c=3, f=4):
    """x, weight, bias and dy for one convolution."""
    x, weight, bias = rng.normal(size=(n, c, *size)), rng.normal(size=(f, c, 3, 3)), rng.normal(size=f)
    return x, weight, bias, rng.normal(size=(n, f, *(s + 2 * p - 2 for s, p in zip(size, padding))))


def weight_grad(dy, x, padding):
    """winograd_weight_grad into an array that lies channels last and is not zero before. The bias's is checked."""
    before = get_array_module(x).ones((dy.shape[1], 3, 3, x.shape[1])).transpose(0, 3, 1, 2)
    dweight, dbias = winograd_weight_grad(dy, x, padding, before.copy(order="K"))
    close(dbias, to_numpy(dy).sum((0, 2, 3)))
    return dweight - before


@pytest.fixture(params=["band by band", "frequency by frequency"])
def way(request, monkeypatch):
    """Either way to compute the weight's gradient."""
    monkeypatch.setattr("fcn_from_scratch.engine.winograd_weight_grad.FEW", request.param == "band by band" and 1000)


@pytest.mark.parametrize(("size", "padding"), [(s, p) for s in SIZES for p in PADDINGS if min(map(reach, s, p)) >= 3])
def test_equals_loops_and_its_gradients_are_adjoint(xp, rng, size, padding, way):
    x, weight, bias, dy = arrays(rng, size, padding)
    on = [xp.asarray(array) for array in (x, weight, bias, dy)]
    close(winograd_conv2d(*on[:3], padding), loops.conv2d_loops(x, weight, bias, 1, padding))
    dx, dweight = winograd_input_grad(on[3], on[1], padding), weight_grad(on[3], on[0], padding)
    v, u = rng.normal(size=x.shape), rng.normal(size=weight.shape)
    assert dx.shape == x.shape
    assert dweight.shape == weight.shape
    by_input = np.vdot(dy, loops.conv2d_loops(v, weight, None, 1, padding))
    by_weight = np.vdot(dy, loops.conv2d_loops(x, u, None, 1, padding))
    assert float((dx * xp.asarray(v)).sum()) == pytest.approx(by_input, rel=1e-10, abs=1e-10)
    assert float((dweight * xp.asarray(u)).sum()) == pytest.approx(by_weight, rel=1e-10, abs=1e-10)


@given(st.data(), st.sampled_from([0, 1000]))
def test_any_shape_and_layout(data, few):
    size = data.draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    padding = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    n, c, f = (data.draw(st.integers(1, 3)) for _ in range(3))
    layout = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))]
    x, weight, bias, dy = arrays(np.random.default_rng(0), size, padding, n, c, f)
    y = winograd_conv2d(layout(x), layout(weight), bias, padding)
    expected = loops.conv2d_loops(x, weight, bias, 1, padding)
    close(y, expected)
    plain = np.vdot(dy, expected - bias[:, None, None])
    assert np.vdot(winograd_input_grad(layout(dy), layout(weight), padding), x) == pytest.approx(plain, abs=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcn_from_scratch.engine.winograd_weight_grad.FEW", few)
        assert np.vdot(weight_grad(layout(dy), layout(x), padding), weight) == pytest.approx(plain, abs=1e-9)


class TestTransformedWeight:
    def test_is_all_that_is_read(self, rng):
        x, weight, bias, _ = arrays(rng, (9, 6), (1, 0))
        transformed, nothing = transformed_weight(weight), np.full_like(weight, np.nan)
        assert transformed.shape == (36, 1, 3, 4)
        assert not np.shares_memory(transformed, weight)
        expected = loops.conv2d_loops(x, weight, bias, 1, (1, 0))
        close(winograd_conv2d(x, nothing, bias, (1, 0), transformed=transformed), expected)
        y, winner = winograd_conv2d_relu_pool(x, nothing, bias, (1, 0), (4, 2), transformed)
        pooled, _ = loops.max_pool2d_loops(np.maximum(expected, 0), 2)
        close(y, pooled)
        np.testing.assert_array_equal(winner < 4, pooled > 0)

    def test_of_another_dtype_is_left_alone(self, rng):
        x, weight, bias, _ = arrays(rng, (7, 8), (1, 1))
        weight = weight.astype(np.float32)
        y = winograd_conv2d(x, weight, bias, (1, 1), transformed=transformed_weight(weight))
        assert y.dtype == np.float64
        close(y, loops.conv2d_loops(x, weight.astype(np.float64), bias, 1, 1))


def test_a_wide_frame_of_padding(rng, way):
    """As conv1_1 of the paper's networks: outputs inside the frame see only zeros."""
    x, weight, bias, dy = arrays(rng, (5, 6), (100, 100))
    y = winograd_conv2d(x, weight, bias, (100, 100))
    close(y[:, :, 98:105, 98:106], loops.conv2d_loops(x, weight, bias, 1, 2)[:, :, :7, :8])
    frame = np.ones(y.shape[2:], bool)
    frame[98:105, 98:106] = False
    close(y[:, :, frame], np.broadcast_to(bias[:, None], (2, 4, frame.sum())))
    close(weight_grad(dy, x, (100, 100)), weight_grad(dy[:, :, 98:105, 98:106], x, (2, 2)))
    close(winograd_input_grad(dy, weight, (100, 100)), winograd_input_grad(dy[:, :, 98:105, 98:106], weight, (2, 2)))


@pytest.fixture(params=[1, 3])
def narrow_bands(request, monkeypatch):
    """One or three threads, and bands of few tiles: several bands in each picture, in several groups and sums."""
    monkeypatch.setattr(threads, "workers", lambda: request.param)
    monkeypatch.setattr(winograd_tiles, "BAND_BYTES", 20_000)
    monkeypatch.setattr(winograd_tiles, "PART_BYTES", 5_000)
    monkeypatch.setattr(winograd_tiles, "AT_ONCE", 7)
    monkeypatch.setattr("fcn_from_scratch.engine.winograd_weight_grad.TILES_BYTES", 60_000)
    monkeypatch.setattr("fcn_from_scratch.engine.winograd_weight_grad.SUMS", 3)
    threads._team.cache_clear()
    yield
    if request.param > 1:
        threads._team().close()
    threads._team.cache_clear()


def test_bands_join_without_a_seam_and_repeat_bit_for_bit(narrow_bands, way, rng):
    x, weight, bias, dy = arrays(rng, (33, 18), (1, 1))
    y = winograd_conv2d(x, weight, bias, (1, 1))
    close(y, loops.conv2d_loops(x, weight, bias, 1, 1))
    dweight = weight_grad(dy, x, (1, 1))
    assert np.vdot(dweight, weight) == pytest.approx(np.vdot(dy, y - bias[:, None, None]), rel=1e-10)
    for _ in range(5):
        np.testing.assert_array_equal(winograd_conv2d(x, weight, bias, (1, 1)), y)
        np.testing.assert_array_equal(weight_grad(dy, x, (1, 1)), dweight)


@given(*[st.integers(1, 40)] * 3, st.integers(1, 4), st.integers(1, 600))
def test_bands_and_their_parts_hold_every_tile_once(images, oh, ow, workers, c):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "workers", lambda: workers)
        patch.setattr(winograd_tiles, "BAND_BYTES", 1 << 18)
        patch.setattr(winograd_tiles, "PART_BYTES", 1 << 15)
        everything = winograd_tiles.bands(images, oh, ow, c, 8, 4)
        cut = [(band, *found) for band in everything for found in winograd_tiles.parts(band, c, 4)]
    seen, rows = np.zeros((2, images, -(-oh // 4)), int), -(-oh // 4)
    number = np.arange(images * rows).reshape(images, rows)  # of each row of tiles
    for band in everything:
        seen[0, band.images, band.rows] += 1
        assert band.tiles == np.prod(band.shape) > 0
        assert band.columns == -(-ow // 4)
    for band, part, place in cut:
        seen[1, part.images, part.rows] += 1
        inside = number[band.images, band.rows].repeat(band.columns)  # the row of each of the band's tiles
        np.testing.assert_array_equal(inside[place], number[part.images, part.rows].repeat(part.columns))
    assert (seen == 1).all()


@pytest.mark.parametrize("size", [(12, 8), (11, 6), (9, 5), (10, 7)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooled_tiles_with_ties(xp, rng, size, ceil_mode):
    tiles = rng.integers(-2, 3, (4, 4, 2, 3, 2, 3)).astype(float)
    band = winograd_tiles.Band(slice(0, 2), slice(0, 3), 2)
    whole = np.empty((2, *size, 3))
    winograd_tiles.write_tiles(tiles, band, whole, relu=True)
    relu = whole.transpose(0, 3, 1, 2)
    expected, indices = loops.max_pool2d_loops(relu, 2, ceil_mode=ceil_mode)
    y = xp.empty(expected.transpose(0, 2, 3, 1).shape)
    winner = xp.empty(y.shape, "uint8")
    winograd_tiles.write_pooled(xp, xp.asarray(tiles.copy()), band, size, y, winner)
    close(y.transpose(0, 3, 1, 2), expected, 0)
    without = xp.empty(y.shape)
    winograd_tiles.write_pooled(xp, xp.asarray(tiles), band, size, without)
    close(without.transpose(0, 3, 1, 2), expected, 0)
    geometry = pool_geometry(size, 2, ceil_mode=ceil_mode)
    place = winner_indices(winner.transpose(0, 3, 1, 2), relu.shape, geometry)
    close(place, indices, 0)


class TestAccuracy:
    """What docs/performance.md states, on the convolutions of VGG16 (tests/tools/winograd_accuracy.py)."""

    @pytest.mark.parametrize("channels", winograd_accuracy.SIZES)
    def test_bounds_hold_and_are_no_looser_than_fourfold(self, channels):
        found = [winograd_accuracy.errors(channels, seed, ["winograd"])["winograd"] for seed in range(2)]
        worst = np.max(found, axis=0)[:3]
        bounds = np.array(winograd_accuracy.BOUNDS[channels])
        assert (worst < bounds).all(), worst
        assert (worst > bounds / 4).all(), f"the bounds are stale: {worst}"

    def test_plain_sums_are_five_times_as_accurate(self):
        found = winograd_accuracy.errors(256, 0)
        *direct, dbias = found["im2col"]
        assert all(1e-7 < error < winograd_accuracy.SUMS for error in direct), direct
        assert all(fast > 5 * error for fast, error in zip(found["winograd"], direct)), found
        assert max(found["winograd"][3], dbias) < winograd_accuracy.SUMS  # plain sums in both, in another order

    def test_the_truth_is_the_sum_in_double_precision(self):
        """Of the smallest map, and of its corner by the loops."""
        (x, weight, _, dy), geometry = winograd_accuracy.problem(512, 0)
        x, weight, dy = x.astype(np.float64)[:, :64], weight.astype(np.float64)[:32, :64], dy.astype(np.float64)[:, :32]
        y = conv.conv2d(x, weight, None, geometry, "im2col")
        close(y[:, :, :4, :4], loops.conv2d_loops(x[:, :, :5, :5], weight, None, 1, 1)[:, :, :4, :4], 1e-13)
        dx, dweight, _ = conv.conv2d_backward(dy, x, weight, geometry, algorithm="im2col")
        assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), rel=1e-11)
        assert np.vdot(dweight, weight) == pytest.approx(np.vdot(dy, y), rel=1e-11)


@pytest.mark.parametrize("scale", [1e-30, 1e-38])
def test_tiny_numbers_raise_nothing_where_the_user_asks_for_errors(rng, scale):
    """Between the transforms numbers may become too small for float32. The plain sum has none so small."""
    x, weight = (
        np.maximum(rng.normal(size=shape), 0.1).astype(np.float32) for shape in ((1, 64, 9, 9), (64, 64, 3, 3))
    )
    x *= np.float32(scale)
    with np.errstate(all="raise"):
        y = winograd_conv2d(x, weight, None, (1, 1))
        dx, dweight = winograd_input_grad(y, weight, (1, 1)), weight_grad(x, x, (1, 1))
        wide = conv.conv2d(x, weight, None, conv_geometry(x.shape, weight, 1, 1, 1, 1), "winograd_wide")
    close(y, wide, 1e-4 * scale * 64)
    assert np.isfinite(dx).all()
    assert np.isfinite(dweight).all()
