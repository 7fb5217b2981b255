"""Every CUDA kernel at work on arrays of a network's sizes, beside what CuPy's own functions would do in its place.

work        the sizes, and what a Piece is
patches pooling upsample pixelwise random loss counts winograd   the pieces, in files named as those of `kernels`

All that the kernels compute is compared with CuPy's answer, and their traffic with the arrays each of them is launched
with  (tests/bench/test_pieces.py).
"""

from fcn_from_scratch.bench.pieces import counts, loss, patches, pixelwise, pooling, random, upsample, winograd
from fcn_from_scratch.bench.pieces.work import Piece, Sizes

# name of a kernel -> make(sizes, xp, rng), its Piece
PIECES = {
    name: make
    for module in (patches, winograd, pooling, upsample, pixelwise, random, loss, counts)
    for name, make in module.PIECES.items()
}

__all__ = ["PIECES", "Piece", "Sizes"]
