"""The work on a GPU by this project: with its CUDA kernels, or with CuPy's functions instead."""

from contextlib import ExitStack

from fcn_from_scratch.backend import device_module, plain
from fcn_from_scratch.engine.conv_gpu import precision
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.gpu import highest
from fcn_from_scratch.lab.bench.numpy_rival import NumpyRival
from fcn_from_scratch.lab.bench.work import takes_winograd


class CupyRival(NumpyRival):
    """NumpyRival's methods on the GPU, timed by events.

    algorithm  "auto": the project's own choice. "winograd": Winograd for each 3x3 convolution at stride 1, except those
               that read the pictures, where the transforms cost more than three channels save
    kernels    False: CuPy's array functions run the plain code of ops. That holds for as long as the rival lives
    """

    device = "cuda"

    def __init__(self, work, algorithm="auto", kernels=True):
        self.mode = ExitStack()  # open for as long as the rival lives
        self.mode.enter_context(plain(not kernels))
        self.cupy = device_module("cuda")
        self.clock = CupyClock(self.cupy)
        super().__init__(work, algorithm)

    def choose(self, algorithm, node):
        winograd = takes_winograd(node) and precision() == "full"  # under TF32 it is refused
        return algorithm if algorithm != "winograd" or winograd else "auto"

    def peak(self):
        """Peak bytes of all arrays during the work. The first run, which also compiles, is not counted."""
        self.run()
        return highest(self.cupy, self.run)
