"""A dropout mask drawn on the GPU: the numbers NumPy's generator would have drawn on the host, and no copy of them.

The host keeps the generator. It hands its state to the kernel, which can start at any number of the stream, and moves
on as if it had drawn them itself. So the CPU and the GPU drop the same values, a run may change the device halfway, and
what a checkpoint holds, the generator's state, is what it held before.
"""

import math

import numpy as np

from fcn_from_scratch.kernels.launch import launch

LOW = (1 << 64) - 1  # the lower 64 bits
BITS = 32
RUN = 16  # numbers a thread draws: RUN in dropout.cu


def dropout_mask(xp, rng, shape, p):
    """rng.random(shape, dtype=float32) >= p, drawn on the device (dropout.cu); rng is left where that leaves it.

    Returns: bool, True where kept.
    Identity: equals NumPy's own draw, for any shape and any number of draws before it, and so does rng's state after
    it  (tests/kernels/test_random.py).
    Raises: TypeError for a generator other than PCG64, which is the one np.random.default_rng makes.
    """
    if not isinstance(rng.bit_generator, np.random.PCG64):
        raise TypeError(f"the GPU draws as PCG64 does, np.random.default_rng's generator; got {rng.bit_generator}")
    mask, count = xp.empty(shape, np.bool_), math.prod(shape)
    before = rng.bit_generator.state
    state, increment = before["state"]["state"], before["state"]["inc"]
    words = state >> 64, state & LOW, increment >> 64, increment & LOW
    launch("dropout_mask", -(-count // RUN), mask, count, p, *words, before["has_uint32"], before["uinteger"])
    skip(rng, count)
    return mask


def skip(rng, count):
    """Move a generator on by `count` float32 numbers: one that is PCG64 without drawing them."""
    if not isinstance(rng.bit_generator, np.random.PCG64):
        rng.random(count, dtype=np.float32)
        return
    before = rng.bit_generator.state
    halves = count - before["has_uint32"]  # the half left over from before comes first
    if halves <= 0:
        rng.random(count, dtype=np.float32)
        return
    rng.bit_generator.advance((halves - 1) // 2)  # forgets the half left over
    rng.random(2 - halves % 2, dtype=np.float32)  # the last 64 bits: one half of them, or both
