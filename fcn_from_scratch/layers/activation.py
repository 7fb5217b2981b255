"""Layers without weights that work pixel by pixel: ReLU, dropout, flattening."""

import math

import numpy as np

from fcn_from_scratch import checks, kernels, ops
from fcn_from_scratch.backend import get_array_module, is_plain
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.layers.base import Layer


class ReLU(Layer):
    """ops.relu. It keeps its output, which the next layer keeps too. Lesson 3."""

    pointwise, kind = True, "relu"

    def _forward(self, x):
        y = ops.relu(x, self.workspace)
        return y, (y,)

    def _backward(self, dy, cache):
        """An empty cache means that a max-pool ran in the same pass. Its backward applies ReLU's too (layers.fused)."""
        return ops.relu_backward(dy, *cache, self.workspace) if cache else dy


class Dropout(Layer):
    """Set each value to zero with probability p, and scale up the others by 1 / (1 - p). In eval mode nothing changes.

    p may be set between calls. Values are dropped one by one, as in the paper's public code. The mask comes from `rng`,
    which is on the host. So the CPU and the GPU drop the same values, and a checkpoint can hold the generator's state.
    If the generator is NumPy's default one, a GPU draws the same numbers itself (kernels.dropout_mask). Otherwise the
    mask is copied to the GPU.
    """

    pointwise, kind = True, "dropout"

    def __init__(self, p=0.5, *, rng=None, name=None):
        super().__init__(name)
        self.p = checks.probability(p, "p")
        self.rng = np.random.default_rng() if rng is None else rng
        self.skip_before = self.skip_after = 0  # pictures of the batch before and after x, in other parts

    def _forward(self, x):
        if not self.training or self.p == 0:
            return x, ()
        shape, p = self._mask_shape(x), checks.probability(self.p, "p")
        self._skip(self.skip_before, shape)
        mask = self._draw(get_array_module(x), shape, p)
        self._skip(self.skip_after, shape)
        return ops.dropout(x, mask, self.p), (mask, self.p)

    def _backward(self, dy, cache):
        return ops.dropout_backward(dy, *cache) if cache else dy

    def _skip(self, pictures, shape):
        """Skip the random numbers of pictures in other parts, so that all masks together are the whole batch's."""
        if pictures:
            kernels.skip(self.rng, pictures * math.prod(shape[1:]))

    def _draw(self, xp, shape, p):
        if xp is not np and not is_plain() and isinstance(self.rng.bit_generator, np.random.PCG64):
            return kernels.dropout_mask(xp, self.rng, shape, p)
        mask = self.rng.random(shape, dtype=np.float32) >= p
        if mask.ndim == 4 and not is_plain():
            mask = channels_first(channels_last(mask))  # drawn in the order of the indices, stored like x
        return xp.asarray(mask)

    def _mask_shape(self, x):
        return x.shape

    def generators(self):
        return {"rng": self.rng}


class ChannelDropout(Dropout):
    """Dropout of whole channels, as in the PyTorch port of the paper. It regularises differently from Dropout."""

    def _mask_shape(self, x):
        return x.shape[:2]


class Flatten(Layer):
    """(N, C, H, W) to (N, C*H*W), the input of the first Linear layer: channels first, for any memory layout."""

    on_grid, in_place = False, True

    def output_shape(self, shape):
        return math.prod(shape), 1, 1

    def _forward(self, x):
        return x.reshape(x.shape[0], -1), x.shape

    def _backward(self, dy, x_shape):
        return dy.reshape(x_shape)
