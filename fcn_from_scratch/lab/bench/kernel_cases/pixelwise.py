"""Kernels that work on single numbers or along the channels of a pixel. CuPy evaluates the same expressions."""

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels.launch import launch
from fcn_from_scratch.lab.bench.kernel_cases.work import KernelCase, moved, normal, size_of

SIZE, ALPHA, BETA, K = 5, 0.5, 0.75, 2.0  # of local response normalisation; AlexNet's window
MOMENTUM, RATE, DECAY = 0.9, 1e-3, 5e-7


def bias_relu(sizes, xp, rng):
    n, h, w, c = sizes.pooled
    x, bias = normal(xp, rng, n, 2 * h, 2 * w, c), normal(xp, rng, c)
    y = xp.empty_like(x)
    return KernelCase(
        lambda: kernels.bias_relu(x, bias, out=y),
        lambda: xp.maximum(x + bias, 0),
        "maximum(x + bias, 0)",
        size_of(x),
        moved(x, bias, y),
    )


def relu_backward(sizes, xp, rng):
    n, h, w, c = sizes.pooled
    dy, y = (normal(xp, rng, n, 2 * h, 2 * w, c) for _ in range(2))
    return KernelCase(
        lambda: kernels.relu_backward(dy, y),
        lambda: dy * (y > 0),
        "dy * (y > 0)",
        size_of(y),
        moved(dy, y, y),
    )


def _windows(xp, x):
    """For each channel the sum over the SIZE channels around it; x (rows, C)."""
    padded = xp.pad(x, ((0, 0), (SIZE // 2, SIZE // 2)))
    return sum(padded[:, first : first + x.shape[1]] for first in range(SIZE))


def _energy(xp, x):
    return K + ALPHA / SIZE * _windows(xp, x * x)


def lrn(sizes, xp, rng):
    x = normal(xp, rng, *sizes.pooled)
    rows = x.reshape(-1, x.shape[-1])
    return KernelCase(
        lambda: kernels.local_response_norm(rows, SIZE, ALPHA, BETA, K),
        lambda: rows * _energy(xp, rows) ** -BETA,
        "x * (k + windows(x * x)) ** -beta",
        size_of(x),
        moved(x, x),
    )


def _backward(sizes, xp, rng):
    """([dy, x, q, dx], all (rows, C); the arguments that both backward kernels end with)"""
    c = sizes.pooled[-1]
    arrays = [normal(xp, rng, *sizes.pooled).reshape(-1, c) for _ in range(4)]
    return arrays, (len(arrays[0]), c, SIZE, ALPHA, BETA, K)


def lrn_backward_shared(sizes, xp, rng):
    (dy, x, q, _), arguments = _backward(sizes, xp, rng)

    def ours():
        launch("lrn_backward_shared", x.size, dy, x, q, *arguments)
        return q

    return KernelCase(
        ours,
        lambda: dy * x * _energy(xp, x) ** (-BETA - 1),
        "dy * x * (k + windows(x * x)) ** (-beta - 1)",
        size_of(x),
        moved(dy, x, q),
    )


def lrn_backward(sizes, xp, rng):
    (dy, x, q, dx), arguments = _backward(sizes, xp, rng)

    def ours():
        launch("lrn_backward", x.size, dy, x, q, dx, *arguments)
        return dx

    return KernelCase(
        ours,
        lambda: dy * _energy(xp, x) ** -BETA - 2 * ALPHA * BETA / SIZE * x * _windows(xp, q),
        "dy * (k + windows(x * x)) ** -beta - x * windows(q)",
        size_of(x),
        moved(dy, x, q, dx),
    )


def sgd(sizes, xp, rng):
    weight, velocity, grad = (normal(xp, rng, *sizes.weight) for _ in range(3))
    w, v = weight.copy(), velocity.copy()

    def ours():
        kernels.sgd(weight, velocity, grad, MOMENTUM, RATE, DECAY)
        return weight, velocity

    def theirs():
        v[...] = MOMENTUM * v + RATE * grad + DECAY * w
        w[...] -= v
        return w, v

    read_and_written = moved(weight, velocity)
    return KernelCase(
        ours, theirs, "v[...] = m * v + r * g + d * w; w -= v", size_of(weight), 2 * read_and_written + grad.nbytes
    )


CASES = {
    "bias_relu": bias_relu,
    "relu_backward": relu_backward,
    "lrn": lrn,
    "lrn_backward_shared": lrn_backward_shared,
    "lrn_backward": lrn_backward,
    "sgd": sgd,
}
