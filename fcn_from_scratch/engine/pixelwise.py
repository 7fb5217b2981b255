"""Passes over memory, shared by the threads."""

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module, in_memory_order
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first
from fcn_from_scratch.engine.workspace import empty_from


def rectify(x, out=None):
    """Compute max(x, 0), into `out` if it is given, which may be x. NaN stays NaN. Returns: the result.

    NumPy's `maximum` of an array and one number uses no vector instructions. For 200,000 numbers of float32 it takes
    150 microseconds, and `clip` takes 50. (A zero with a minus sign keeps it in `clip`.)
    """
    xp = get_array_module(x)
    if xp is np and x.dtype.kind == "f":
        return x.clip(0, np.inf, out=out)
    return xp.maximum(x, x.dtype.type(0), out=out)


def relu(x, workspace=None):
    """Compute ops.relu."""
    xp = get_array_module(x)
    if x.ndim != 4 or xp is not np:
        return rectify(x)
    n, c, h, w = x.shape
    y = channels_first(empty_from(workspace, xp)((n, h, w, c), x.dtype))

    def fill(rows):
        rectify(x[:, :, rows], y[:, :, rows])

    threads.run(fill, threads.pieces(h, x.size))
    return y


def relu_backward(dy, y, workspace=None):
    """Compute ops.relu_backward."""
    xp = get_array_module(dy, y)
    if xp is not np:
        return in_memory_order(_relu_backward_on_gpu, dy, y)
    if y.ndim != 4:
        return dy * (y > 0)
    n, c, h, w = y.shape
    dx = channels_first(empty_from(workspace, xp)((n, h, w, c), dy.dtype))

    def mask(rows):
        xp.multiply(dy[:, :, rows], y[:, :, rows] > 0, out=dx[:, :, rows])

    threads.run(mask, threads.pieces(h, y.size))
    return dx


def _relu_backward_on_gpu(dy, y):
    if not kernels.usable(dy, y):
        return dy * (y > 0)
    xp = get_array_module(dy, y)
    return kernels.relu_backward(*map(xp.ascontiguousarray, (dy, y)))


@threads.one_blas_thread
def matrix_product(a, b):
    """a @ b with one BLAS thread, which leaves the other cores to the other parts of a batch."""
    return a @ b


def long_sums(a, b):
    """Compute a @ b by `dot`: a few long sums.

    If the result has at most 500 numbers, NumPy's `matmul` keeps Python's lock, however long the sums are. Meanwhile
    the other threads would wait. `dot` calls the same routine of BLAS, and always gives the lock back.
    """
    return get_array_module(a, b).dot(a, b)


@threads.one_blas_thread
def both_axes(vertical, x, horizontal, workspace=None):
    """vertical @ x @ horizontal.T for every image and channel, in the order with the smaller map in between."""
    (n, c, h, w), oh, ow = x.shape, len(vertical), len(horizontal)
    xp = get_array_module(x)
    planes = xp.ascontiguousarray(x).reshape(n * c, h, w)
    y = empty_from(workspace, xp)((n * c, oh, ow), x.dtype)

    def fill(part):
        if oh < h:
            xp.matmul((vertical @ planes[part]).reshape(-1, w), horizontal.T, out=y[part].reshape(-1, ow))
        else:
            xp.matmul(vertical, (planes[part].reshape(-1, w) @ horizontal.T).reshape(-1, h, ow), out=y[part])

    threads.run(fill, threads.pieces(n * c, max(planes.size, y.size)) if xp is np else [slice(0, n * c)])
    return y.reshape(n, c, oh, ow)


def sgd(weight, velocity, gradient, momentum, rate, decay):
    """Do training.optim's step for one parameter; one of more than AT_ONCE numbers in pieces, see threads.pieces."""

    def move(rows):
        v, w = velocity[rows], weight[rows]
        v *= momentum
        v += gradient[rows] * rate
        if decay:
            v += w * decay
        w -= v

    threads.run(move, threads.pieces(len(weight), weight.size) if weight.size > threads.AT_ONCE else [...])


def zero(array):
    """Set every number to zero."""
    if get_array_module(array) is not np or array.size < threads.AT_ONCE:
        array[...] = 0
        return
    array = np.atleast_1d(array)

    def fill(rows):
        array[rows] = 0

    threads.run(fill, threads.pieces(len(array), array.size // 2))
