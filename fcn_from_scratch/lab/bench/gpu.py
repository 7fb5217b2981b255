"""The GPU: what it is, how fast it copies and multiplies at best, and whether its libraries may round to TF32.

TF32 is float32 with ten bits behind the point instead of 23. On GPUs from 2020 on, libraries can round the factors of
matrix products to it and multiply several times faster. That is another computation, so it is off unless asked for, in
every rival alike. CuPy looks at CUPY_TF32 at a process's first product; cuBLAS and cuDNN refuse TF32 whatever they are
told where NVIDIA_TF32_OVERRIDE is 0. So the variables stand in the environment before a process begins, and what came
of them is not believed but tried, with a number that TF32 cannot hold.
"""

import os

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.lab.bench.clocks import CupyClock

COPY_BYTES = 1 << 30  # of the copy that measures the memory: far more than any cache holds
SIDE = 8192  # of the square matrices that measure the arithmetic
PART = 8  # each takes at most one PART-th of what memory is free
FINE = 1 + 2.0**-12  # a float32, and rounded to TF32 it is 1


def variables(tf32):
    """The environment of a process that may, or must not, use TF32; None removes a variable."""
    return {
        "CUPY_TF32": "1" if tf32 else "0",
        "NVIDIA_TF32_OVERRIDE": None if tf32 else "0",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": None,  # forces TF32 on in PyTorch
    }


def tf32_allowed():
    """What `variables` said when this process began."""
    return os.environ.get("CUPY_TF32") == "1"


class Gpu:
    """The device as CuPy sees it. To be asked in a process of its own, since asking alone takes memory there."""

    def __init__(self):
        self.cupy = device_module("cuda")

    def facts(self):
        """What it is, and what drives it: name, bytes of memory, versions; whether products are rounded to TF32."""
        cuda = self.cupy.cuda
        device = cuda.Device()
        free, total = device.mem_info
        return {
            "gpu": cuda.runtime.getDeviceProperties(device.id)["name"].decode(),
            "memory": total,
            "free": free,
            "driver": _version(cuda.runtime.driverGetVersion()),
            "runtime": _version(cuda.runtime.runtimeGetVersion()),
            "cupy": self.cupy.__version__,
            "tf32": self._rounds(),
        }

    def _rounds(self, side=1024):
        """Multiplied by one, do numbers lose bits?"""
        a, one = self.cupy.full((side, side), FINE, np.float32), self.cupy.eye(side, dtype=np.float32)
        return bool((a @ one != a).any())


class TorchGpu:
    """The device as PyTorch sees it, if it does: there are builds without CUDA."""

    def __init__(self):
        import torch

        self.torch = torch

    def facts(self):
        """PyTorch's version, the CUDA it was built for (None without), and whether it sees a GPU."""
        return {
            "torch": self.torch.__version__,
            "torch_cuda": self.torch.version.cuda,
            "torch_sees_it": self.torch.cuda.is_available(),
        }


class GpuCeiling:
    """The best copy and the best product of float32 matrices that the device makes: cudaMemcpy and cuBLAS."""

    def __init__(self):
        self.cupy = device_module("cuda")
        self.clock = CupyClock(self.cupy)
        room = self.cupy.cuda.Device().mem_info[0] // PART
        size, side = min(COPY_BYTES, room // 2), min(SIDE, int((room / 12) ** 0.5))
        self.busy = self.cupy.zeros((2, size), np.uint8)
        rng = np.random.default_rng(0)
        factors = rng.standard_normal((2, side, side), np.float32)
        self.a, self.b = (self.cupy.asarray(factor) for factor in factors)
        self.c = self.cupy.empty_like(self.a)

    def amounts(self):
        """Operations of a `multiply`, and bytes that a `copy` reads and writes."""
        return {"multiply": 2 * len(self.a) ** 3, "copy": self.busy.nbytes}

    def multiply(self):
        self.cupy.matmul(self.a, self.b, out=self.c)

    def copy(self):
        self.cupy.copyto(*self.busy)


def highest(cupy, call):
    """Bytes that CuPy's arrays take together at most while call() runs."""
    pool = cupy.get_default_memory_pool()

    class Highest(cupy.cuda.MemoryHook):
        name = "highest"
        bytes = pool.used_bytes()

        def malloc_postprocess(self, **_):
            self.bytes = max(self.bytes, pool.used_bytes())

    with Highest() as hook:
        call()
    return hook.bytes


def _version(number):
    """CUDA's way to write a version as a number, 12090, in words: 12.9."""
    return f"{number // 1000}.{number % 1000 // 10}"


def blind(facts):
    """Why PyTorch does not see the GPU, with a remedy; None if it does. The facts are TorchGpu's."""
    if facts["torch_sees_it"]:
        return None
    built = "for the CPU alone" if facts["torch_cuda"] is None else f"for CUDA {facts['torch_cuda']}"
    return f"PyTorch {facts['torch']}, built {built}, sees no GPU; install a build that fits the driver"
