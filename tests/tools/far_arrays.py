"""Arrays of more numbers than the memory holds: the system gives memory only to the pages that are touched."""

import contextlib
import math
import mmap

import numpy as np
import pytest

LAST = 256  # numbers: what the last block does in its last round
PROMISED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE


def sparse(*shape, dtype="float32"):
    """Zeros that take memory where they are written only."""
    try:
        memory = mmap.mmap(-1, math.prod(shape) * np.dtype(dtype).itemsize, flags=PROMISED)
    except OSError as error:
        pytest.skip(f"this system promises no more memory than it has: {error}")
    with contextlib.suppress(OSError):  # where there are no huge pages, of which one byte would take two megabytes
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)


def filled(rng, *shape):
    """Sparse, with random numbers at the end."""
    array = sparse(*shape)
    end(array, 2 * LAST)[:] = rng.normal(size=2 * LAST)
    return array


def end(array, count=LAST):
    return array.reshape(-1)[-count:]
