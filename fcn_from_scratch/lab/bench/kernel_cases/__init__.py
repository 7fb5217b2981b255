"""Every CUDA kernel at work on arrays of a network's sizes, beside what CuPy's own functions would do in its place.

work        the sizes, and what a Piece is
patches pooling upsample pixelwise random loss counts winograd   the pieces, in files named as those of `kernels`

All that the kernels compute is compared with CuPy's answer, and their traffic with the arrays each of them is launched
with  (tests/lab/bench/test_kernel_cases.py).
"""

from fcn_from_scratch.lab.bench.kernel_cases import (
    convolution,
    counts,
    loss,
    pixelwise,
    pooling,
    random,
    upsample,
    winograd,
)
from fcn_from_scratch.lab.bench.kernel_cases.work import Piece, Sizes

# name of a kernel -> make(sizes, xp, rng), its Piece
PIECES = {
    name: make
    for module in (convolution, winograd, pooling, upsample, pixelwise, random, loss, counts)
    for name, make in module.PIECES.items()
}

__all__ = ["PIECES", "Piece", "Sizes"]
