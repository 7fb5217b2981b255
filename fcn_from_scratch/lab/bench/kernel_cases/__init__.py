"""A benchmark case for every CUDA kernel: the kernel on arrays of a network's sizes, and CuPy's functions for the same.

work        the sizes of the arrays, and what a KernelCase is
convolution pooling upsample pixelwise random loss counts winograd   the cases, in files named as those of `kernels`

A test compares each kernel's results with CuPy's, and the bytes of each case with the arrays its kernel is launched on
(tests/lab/bench/test_kernel_cases.py).
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
from fcn_from_scratch.lab.bench.kernel_cases.work import KernelCase, Sizes

# name of a kernel -> make(sizes, xp, rng), which returns its KernelCase
CASES = {
    name: make
    for module in (convolution, winograd, pooling, upsample, pixelwise, random, loss, counts)
    for name, make in module.CASES.items()
}

__all__ = ["CASES", "KernelCase", "Sizes"]
