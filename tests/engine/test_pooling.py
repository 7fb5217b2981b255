"""The engine's max-pool keeps the winner's place in its window instead of its position in the plane."""

import numpy as np
import pytest
from arrays import close, refuses
from pool_cases import SHAPE, max_options, with_ties

from fcn_from_scratch import engine, ops
from fcn_from_scratch.engine.pooling import relu_pool
from fcn_from_scratch.ops import loops
from fcn_from_scratch.ops.shapes import pool_geometry


def max_pool2d_winner(x, *arguments, **options):
    return engine.max_pool2d_winner(x, pool_geometry(x.shape[2:], *arguments, **options))


def max_pool2d_winner_backward(dy, winner, x_shape, *arguments, **options):
    return engine.max_pool2d_winner_backward(dy, winner, x_shape, pool_geometry(x_shape[2:], *arguments, **options))


def winner_indices(winner, x_shape, *arguments, **options):
    return engine.winner_indices(winner, x_shape, pool_geometry(x_shape[2:], *arguments, **options))


class TestWinner:
    @max_options
    def test_same_as_indices(self, xp, rng, options):
        x = with_ties(rng)
        y, indices = ops.max_pool2d(x, **options)
        dy = rng.normal(size=y.shape)
        other, winner = max_pool2d_winner(xp.asarray(x), **options)
        close(other, y, 0)
        assert winner.dtype.kind == "u"
        close(winner_indices(winner, SHAPE, **options), indices, 0)
        dx = max_pool2d_winner_backward(xp.asarray(dy), winner, SHAPE, **options)
        close(dx, ops.max_pool2d_backward(dy, indices, SHAPE))

    @pytest.mark.parametrize("size", [(13, 9), (12, 10), (2, 3), (1, 1)])
    def test_blocks_of_rows_join(self, rng, size, monkeypatch):
        monkeypatch.setattr("fcn_from_scratch.engine.threads.AT_ONCE", 40)
        x = with_ties(rng, (2, 3, *size))
        y, winner = max_pool2d_winner(x, 2, ceil_mode=True)
        close(y, loops.max_pool2d_loops(x, 2, ceil_mode=True)[0], 0)
        dy = rng.normal(size=y.shape)
        expected = ops.max_pool2d_backward(dy, loops.max_pool2d_loops(x, 2, ceil_mode=True)[1], x.shape)
        close(max_pool2d_winner_backward(dy, winner, x.shape, 2, ceil_mode=True), expected, 0)

    @pytest.mark.parametrize("options", [{"kernel_size": 2}, {"kernel_size": (3, 2), "stride": 1}])
    def test_no_place_in_the_window_passes_nothing(self, rng, options):
        y, winner = max_pool2d_winner(rng.normal(size=SHAPE), **options)
        nobody = np.full_like(winner, 6)
        assert (max_pool2d_winner_backward(np.ones_like(y), nobody, SHAPE, **options) == 0).all()
        first = np.zeros_like(winner)
        np.testing.assert_array_equal(winner_indices(nobody, SHAPE, **options), winner_indices(first, SHAPE, **options))

    def test_relu_and_pool_in_one(self, rng):
        """Of equal pixels the first wins. If no pixel is above zero, none wins. NaN stays."""
        x = rng.integers(-2, 3, (3, 4, 8, 6)).astype(float)
        x[0, 0, 2, 3] = np.nan
        windows = x.reshape(3, 4, 4, 2, 3, 2).transpose(3, 5, 0, 1, 2, 4)
        y, winner = relu_pool(np, windows.copy())
        expected, places = max_pool2d_winner(x, 2)
        np.testing.assert_array_equal(y, np.maximum(expected, 0))
        np.testing.assert_array_equal(np.where(expected > 0, places, 9), np.minimum(winner, 9))
        out = np.empty_like(y), np.empty_like(winner)
        relu_pool(np, windows.copy(), out)
        np.testing.assert_equal(out, (y, winner))

    def test_shapes(self, rng):
        y, winner = max_pool2d_winner(rng.normal(size=SHAPE), 2)
        with refuses("winner", "dy", "(2, 3, 4, 2)"):
            max_pool2d_winner_backward(y, winner[..., :-1], SHAPE, 2)
