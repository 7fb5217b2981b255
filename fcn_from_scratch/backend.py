"""Who computes: NumPy or CuPy, the plain code or the engine; and how arrays travel between host and device.

The device follows the array: there is no global switch, so one process can run the same network on the
CPU and on the GPU and compare them. This is the only file that imports CuPy.
"""

import contextlib
import contextvars
import os
import sys

import numpy as np

from fcn_from_scratch.checks import REALS

DEVICES = ("cpu", "cuda")
HOST = frozenset((np.ndarray, type(None)))

_plain = contextvars.ContextVar("plain", default=os.environ.get("FCN_PLAIN") == "1")


@contextlib.contextmanager
def plain(on=True):
    """Inside `with plain():` the plain code of `ops` computes everything.

    No engine, no threads, no fused layers and no CUDA kernels; on a GPU it uses CuPy's array functions. A debugger then
    steps through code that reads like its equations. The tests hold the engine to it.
    It holds for the code in the block alone, not for other threads (it is a ContextVar). `plain(False)` lets the engine
    compute again in a block within. FCN_PLAIN=1 in the environment makes it the default of a whole process.
    """
    token = _plain.set(bool(on))
    try:
        yield
    finally:
        _plain.reset(token)


def is_plain():
    """Whether this runs inside `with plain():`."""
    return _plain.get()


def get_array_module(*arrays):
    """The module (numpy or cupy) whose functions work on these arrays.

    Arrays on different devices are refused: a silent copy would hide a mistake and cost time.
    Raises: TypeError for anything that is not an array, ValueError for a mixture of devices.
    """
    if HOST.issuperset(map(type, arrays)):  # nearly always, and asked a hundred times a training step
        return np
    cupy = sys.modules.get("cupy")  # an array of CuPy's exists only if somebody imported CuPy
    modules = set()
    for array in arrays:
        if array is None:
            continue
        if isinstance(array, (np.ndarray, np.generic)):
            modules.add(np)
        elif cupy is not None and isinstance(array, cupy.ndarray):
            modules.add(cupy)
        else:
            raise TypeError(f"expected a NumPy or CuPy array; got {type(array).__name__}")
    if len(modules) > 1:
        raise ValueError("the arrays live on different devices; move them with backend.to_device first")
    return modules.pop() if modules else np


def usable(*arrays):
    """Whether the hand-written CUDA kernels take these arrays: they lie on the GPU, all of them hold float32 or all
    float64, and the plain code is not asked for."""
    if is_plain() or get_array_module(*arrays) is np:
        return False
    dtypes = {array.dtype for array in arrays if array is not None}
    return len(dtypes) == 1 and dtypes <= REALS


def device_module(device):
    """The array module of a device name: "cpu" is NumPy, "cuda" is CuPy on a machine that has a GPU.

    Raises: ValueError that says what is missing.
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise ValueError(f"device must be one of {', '.join(DEVICES)}; got {device!r}")
    try:
        import cupy
    except ImportError:
        raise ValueError(
            "device 'cuda' needs CuPy, which is not installed: pip install 'fcn_from_scratch[gpu]'"
        ) from None
    if not cupy.cuda.is_available():
        raise ValueError("device 'cuda' needs an NVIDIA GPU and its driver; CuPy found none. Use device 'cpu'")
    return cupy


def use_gpu(number):
    """Let this thread's arrays live on the GPU of that number; the count goes round where there are fewer."""
    cuda = device_module("cuda").cuda
    cuda.Device(number % cuda.runtime.getDeviceCount()).use()


def to_device(array, device):
    """The array on the named device, in memory as it lies here; the same array if it is there already."""
    if device != "cuda":
        return to_numpy(array)
    xp = device_module(device)
    return array if isinstance(array, xp.ndarray) else _moved(np.asarray(array), xp.asarray)


def to_numpy(array):
    """The array on the host, as NumPy's, in memory as it lies there."""
    xp = get_array_module(array)
    return array if xp is np else _moved(array, xp.asnumpy)


def memory_order(array):
    """The axes from the one with the largest steps through memory to the one with the smallest, and the way back."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return order, [order.index(axis) for axis in range(array.ndim)]


def in_memory_order(function, *arrays):
    """function(*arrays), element by element. The result lies in memory as the last of the arrays.

    NumPy's functions do this. Those of CuPy return C order: they would turn a channels-last map round, and the next
    kernel would turn it back. So on a GPU the axes are sorted by their order in memory first.
    """
    if get_array_module(*arrays) is np:
        return function(*arrays)
    order, back = memory_order(arrays[-1])
    return function(*(array.transpose(order) for array in arrays)).transpose(back)


def _moved(array, move):
    """move(array) for a CuPy function that would lay out channels-last arrays anew."""
    order, back = memory_order(array)
    return move(array.transpose(order)).transpose(back)
