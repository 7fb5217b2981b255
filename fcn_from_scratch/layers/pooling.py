"""Pooling layers, and unpooling, which makes the map large again."""

import numpy as np

from fcn_from_scratch import checks, engine, ops
from fcn_from_scratch.backend import is_plain
from fcn_from_scratch.layers.base import Layer
from fcn_from_scratch.layers.window import Window
from fcn_from_scratch.ops.shapes import check_pool_padding, check_pool_windows, pool_geometry, pool_output_size


class MaxPool2d(Layer):
    """ops.max_pool2d. For MaxUnpool2d, `indices` holds the positions of the last forward's maxima, and `input_size`
    (H, W) the size of its input. Both are kept in eval mode too. After `forget` they are None. Lesson 3.

    undone  whether a MaxUnpool2d needs the positions. Otherwise a network's trunk does not compute them in eval mode
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, name=None):
        super().__init__(name)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.dilation = checks.pair(dilation, "dilation", 1)
        self.ceil_mode = bool(ceil_mode)
        self.winner = self.input_size = None
        self.undone = False

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding, self.dilation)

    @property
    def kind(self):
        return f"max-pool {self.window}"

    def output_shape(self, shape):
        """Raises: ValueError, as forward does, for padding above half the window, and when the taps of a dilated window
        step over the whole map."""
        channels, *size = shape
        check_pool_padding(self.kernel_size, self.padding, self.dilation)
        out = tuple(map(pool_output_size, size, *self.window[:4], (self.ceil_mode,) * 2))
        if self.dilation != (1, 1) and min(out) > 0:
            check_pool_windows(size, out, *self.window[:4])
        return channels, *out

    def _forward(self, x):
        checks.ndim(x, 4, "x", "(N, C, H, W)")
        if is_plain():
            y, winner = ops.max_pool2d(x, *self._arguments())
        else:
            y, winner = engine.max_pool2d_winner(x, self.geometry(x.shape))
        return y, self.keep(winner, x.shape)

    def _backward(self, dy, cache):
        winner, x_shape = cache
        if winner.dtype == np.int64:  # from the plain code: positions in the plane
            return ops.max_pool2d_backward(dy, winner, x_shape)
        return engine.max_pool2d_winner_backward(dy, winner, x_shape, self.geometry(x_shape), self.workspace)

    def keep(self, winner, x_shape):
        """Remember the winners of the windows, for `indices`. Returns: the cache for backward.

        winner   the indices of ops.max_pool2d, the engine's positions in the window, one byte each, or None
        """
        self.winner, self.input_size = winner, x_shape[2:]
        return winner, x_shape

    def forget(self):
        self.winner = self.input_size = None
        return super().forget()

    def geometry(self, x_shape):
        """The ops.shapes.Geometry of the windows over x."""
        return pool_geometry(x_shape[2:], *self._arguments())

    @property
    def indices(self):
        """The positions of the last forward's maxima, (N, C, oh, ow), as max_pool2d returns them. Before it, and
        after `forget`, None.

        Raises: RuntimeError after a forward of a network in eval mode in which nothing undoes the pool.
        """
        if self.winner is None and self.input_size is not None:
            raise RuntimeError(
                f"{self.label} kept no positions: in eval mode a network computes those of pools that a MaxUnpool2d "
                "undoes. Set the pool's `undone` to True"
            )
        if self.winner is None or self.winner.dtype == np.int64:
            return self.winner
        x_shape = (*self.winner.shape[:2], *self.input_size)
        return engine.winner_indices(self.winner, x_shape, self.geometry(x_shape))

    @property
    def is_2x2(self):
        """Whether the windows are 2x2 and lie side by side."""
        return (self.kernel_size, self.stride, self.padding, self.dilation) == ((2, 2), (2, 2), (0, 0), (1, 1))

    def _arguments(self):
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode


class AvgPool2d(Layer):
    """ops.avg_pool2d."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *, name=None):
        super().__init__(name)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.ceil_mode = bool(ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding)

    @property
    def kind(self):
        return f"avg-pool {self.window}"

    def output_shape(self, shape):
        """Raises: ValueError, as forward does, for padding above half the window."""
        channels, *size = shape
        check_pool_padding(self.kernel_size, self.padding, self.window.dilation)
        return channels, *map(pool_output_size, size, *self.window[:4], (self.ceil_mode,) * 2)

    def _forward(self, x):
        return ops.avg_pool2d(x, *self._arguments()), x.shape

    def _backward(self, dy, x_shape):
        return ops.avg_pool2d_backward(dy, x_shape, *self._arguments())

    def _arguments(self):
        return self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad


class MaxUnpool2d(Layer):
    """ops.max_unpool2d, with the positions that a max-pool of the trunk kept. Lesson 9.

    pool    the MaxPool2d to undo. forward(x) takes the indices and the size from the pool's last forward. So the
            output is exactly as large as the pool's input, also if the pool rounded its size. The pool stays at its
            place in the network: the unpooling does not run it, and its parameters are not the unpooling's.
            None: call forward(x, indices, output_size)
    Raises: RuntimeError when the pool has not run yet; ValueError when x does not have the size of the pool's output.
    """

    kind = "max-unpool"

    def __init__(self, pool=None, *, name=None):
        super().__init__(name)
        self.pool = pool
        if pool is not None:
            pool.undone = True

    @property
    def window(self):
        """The window of the pool, transposed."""
        return None if self.pool is None else self.pool.window._replace(transposed=True)

    def output_shape(self, shape, read=None, made=None):
        """The channels of `shape` and the size of `read`, the pool's input. `made` is the pool's output.

        Raises: ValueError when the pool's maps are not given, or `shape` does not have the size of `made`.
        """
        if read is None:
            raise ValueError(f"the size of {self.label} is that of its pool's input, and no node says which map")
        if made[1:] != shape[1:]:
            raise ValueError(
                f"{self.label} undoes {self.pool.label}, whose output has {made[1]}x{made[2]} cells; the input here "
                f"has {shape[1]}x{shape[2]}"
            )
        return shape[0], *read[1:]

    def forward(self, x, indices=None, output_size=None):
        """Put each value of x at the position of its maximum, on a map of output_size (H, W)."""
        if indices is None or output_size is None:
            indices, output_size = self._of_the_pool()
        with checks.naming(self):
            y = ops.max_unpool2d(x, indices, output_size)
        self.remember(indices, y.shape)
        return y

    def __call__(self, x, indices=None, output_size=None):
        return self.forward(x, indices, output_size)

    def _backward(self, dy, indices):
        return ops.max_unpool2d_backward(dy, indices)

    def _of_the_pool(self):
        if self.pool is None:
            raise ValueError(f"{self.label} has no pool of its own: call forward(x, indices, output_size)")
        if self.pool.input_size is None:
            raise RuntimeError(f"{self.label} undoes {self.pool.label}, which must run forward first")
        return self.pool.indices, self.pool.input_size
