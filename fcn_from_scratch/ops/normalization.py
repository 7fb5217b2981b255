"""Local response normalisation, as in AlexNet and GoogLeNet."""

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide each value by a power of k plus the scaled sum of squares over the neighbouring channels.

    y[n, c] = x[n, c] / (k + alpha / size * sum over c' of x[n, c']**2)**beta,   c' in c - size//2 .. c + (size-1)//2

    Channels outside 0..C-1 count as zero. alpha is divided by size, as in Caffe and PyTorch.
    Shapes: x (N, C, ...); size is the number of channels in the sum. Returns: y like x.
    Identity: equals ops.loops.local_response_norm_loops  (tests/ops/test_normalization.py).
    Raises: ValueError when x is empty or has no channel axis, or size is below 1.
    Source: Krizhevsky et al. 2012, section 3.3. Lesson 15.
    """
    size = checks.integer(size, "size", 1)
    if x.ndim < 2:
        raise ValueError(f"x must have a channel axis, (N, C, ...); got shape {x.shape}")
    checks.not_empty(x, "x")
    x = checks.floating(x)
    if kernels.usable(x):
        return engine.gpu.local_response_norm(x, size, alpha, beta, k)
    return x * _energy(x, size, alpha, k) ** -beta


def local_response_norm_backward(dy, x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Compute the gradient of local_response_norm with respect to x.

    dx[c] = dy[c] * e[c]**-beta - 2 alpha beta / size * x[c] * sum over c' of dy[c'] x[c'] e[c']**(-beta - 1)

    e[c] is the term in parentheses in the equation of local_response_norm. c' runs over the channels whose window
    contains c. This is the window of the forward, mirrored.
    Shapes: dy like x. Returns: dx like x.
    Identity: vjp_check  (tests/ops/test_normalization.py).
    Raises: ValueError when the shapes differ. Lesson 15.
    """
    size = checks.integer(size, "size", 1)
    checks.same_shape(dy, x.shape, "dy", "x has")
    x = checks.floating(x)
    if kernels.usable(dy, x):
        return engine.gpu.local_response_norm_backward(dy, x, size, alpha, beta, k)
    energy = _energy(x, size, alpha, k)
    scaled = dy * energy**-beta
    shared = _window_sum(scaled * x / energy, (size - 1) // 2, size // 2)
    return scaled - (2 * alpha * beta / size) * x * shared


def _energy(x, size, alpha, k):
    return k + (alpha / size) * _window_sum(x * x, size // 2, (size - 1) // 2)


def _window_sum(x, before, after):
    """For every c the sum of x[:, c'] over c' in c - before .. c + after."""
    channels = x.shape[1]
    total = get_array_module(x).zeros_like(x)
    for shift in range(-before, after + 1):
        if abs(shift) < channels:
            low, high = max(-shift, 0), min(channels, channels - shift)
            total[:, low:high] += x[:, low + shift : high + shift]
    return total
