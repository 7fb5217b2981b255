"""The GPU: facts about it, its fastest copy and matrix product, and whether its libraries may round to TF32.

TF32 is float32 with ten bits behind the point instead of 23. On GPUs from 2020 on, libraries can round the factors of
matrix products to TF32 and multiply several times faster. The results are less exact, so TF32 is off in every rival
unless the user asks for it. CuPy reads CUPY_TF32 at a process's first product. With NVIDIA_TF32_OVERRIDE=0, cuBLAS and
cuDNN never use TF32. So these variables must be set before a process starts. Whether they worked is then tested with a
number that TF32 cannot hold.
"""

import os

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.lab.bench.clocks import CupyClock

COPY_BYTES = 1 << 30  # size of the copy that measures the memory's speed: far more than any cache holds
SIDE = 8192  # side of the square matrices that measure the arithmetic's speed
PART = 8  # each of the two takes at most 1/PART of the free memory
FINE = 1 + 2.0**-12  # exact in float32; TF32 rounds it to 1


def variables(tf32):
    """Environment variables that allow TF32 in a new process, or forbid it; None removes a variable."""
    return {
        "CUPY_TF32": "1" if tf32 else "0",
        "NVIDIA_TF32_OVERRIDE": None if tf32 else "0",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": None,  # forces TF32 on in PyTorch
    }


def tf32_allowed():
    """Whether `variables` allowed TF32 when this process was started."""
    return os.environ.get("CUPY_TF32") == "1"


class Gpu:
    """The GPU as CuPy sees it. It is asked in a separate process, because asking already takes memory of the GPU."""

    def __init__(self):
        self.cupy = device_module("cuda")

    def facts(self):
        """Its name, bytes of memory, versions of the software, and whether products are rounded to TF32."""
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
        """Whether numbers lose bits when they are multiplied by one."""
        a, one = self.cupy.full((side, side), FINE, np.float32), self.cupy.eye(side, dtype=np.float32)
        return bool((a @ one != a).any())


class TorchGpu:
    """The GPU as PyTorch sees it. Some builds of PyTorch have no CUDA and see none."""

    def __init__(self):
        import torch

        self.torch = torch

    def facts(self):
        """PyTorch's version, the CUDA version it was built for (None without CUDA), and whether it sees a GPU."""
        return {
            "torch": self.torch.__version__,
            "torch_cuda": self.torch.version.cuda,
            "torch_sees_it": self.torch.cuda.is_available(),
        }


class GpuCeiling:
    """The fastest copy (cudaMemcpy) and the fastest product of float32 matrices (cuBLAS) on this GPU."""

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
        """name of a method -> operations, or bytes read and written, in one call."""
        return {"multiply": 2 * len(self.a) ** 3, "copy": self.busy.nbytes}

    def multiply(self):
        self.cupy.matmul(self.a, self.b, out=self.c)

    def copy(self):
        self.cupy.copyto(*self.busy)


def highest(cupy, call):
    """The largest number of bytes that CuPy's arrays hold together while call() runs."""
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
    """A CUDA version in words: 12090, as CUDA writes it, is "12.9"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def blind(facts):
    """Why PyTorch does not see the GPU, with a remedy; None if it sees it. `facts` are TorchGpu's."""
    if facts["torch_sees_it"]:
        return None
    built = "for the CPU only" if facts["torch_cuda"] is None else f"for CUDA {facts['torch_cuda']}"
    return f"PyTorch {facts['torch']}, built {built}, sees no GPU; install a build that fits the driver"
