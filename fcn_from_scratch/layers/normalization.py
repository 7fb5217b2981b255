"""Local response normalisation as a layer."""

from fcn_from_scratch import checks, ops
from fcn_from_scratch.layers.base import Layer


class LocalResponseNorm(Layer):
    """ops.local_response_norm; alpha is divided by size. Lesson 15."""

    pointwise, kind = True, "normalise"

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0, *, name=None):
        super().__init__(name)
        self.size = checks.integer(size, "size", 1)
        self.alpha, self.beta, self.k = alpha, beta, k

    def _forward(self, x):
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k), x

    def _backward(self, dy, x):
        return ops.local_response_norm_backward(dy, x, self.size, self.alpha, self.beta, self.k)
