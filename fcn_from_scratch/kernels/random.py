"""Draw a dropout mask on the GPU, with the very numbers that NumPy's generator would draw on the host.

The host keeps the generator. It passes the generator's state to the kernel, which can start at any number of the
stream. Then the host moves its generator on, as if it had drawn the numbers itself. So the mask need not be copied, the
CPU and the GPU drop the same values, a run may change the device halfway, and a checkpoint still holds the generator's
state.
"""

import math

import numpy as np

from fcn_from_scratch.kernels.launch import launch

LOW = (1 << 64) - 1  # the lower 64 bits
RUN = 16  # how many numbers a thread draws: RUN in dropout.cu


def dropout_mask(xp, rng, shape, p):
    """rng.random(shape, dtype=float32) >= p, drawn on the device (dropout.cu). It moves rng on as this call would.

    Returns: bool, True where a value is kept.
    Identity: the mask and rng's state afterwards equal those of NumPy's own draw, for any shape and any number of
    draws before it  (tests/kernels/test_random.py).
    Raises: TypeError for a generator other than PCG64, which np.random.default_rng makes.
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
    """Move a generator on by `count` float32 numbers. For PCG64 they need not be drawn."""
    if not isinstance(rng.bit_generator, np.random.PCG64):
        rng.random(count, dtype=np.float32)
        return
    before = rng.bit_generator.state
    halves = count - before["has_uint32"]  # a half left over from an earlier draw comes first
    if halves <= 0:
        rng.random(count, dtype=np.float32)
        return
    rng.bit_generator.advance((halves - 1) // 2)  # this forgets the half left over
    rng.random(2 - halves % 2, dtype=np.float32)  # draw one half of the last 64 bits, or both halves
