"""The work on a GPU by this project: with its CUDA kernels, or with CuPy's functions instead."""

from contextlib import ExitStack

from fcn_from_scratch.backend import device_module, plain
from fcn_from_scratch.engine.conv_gpu import precision
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.gpu import highest
from fcn_from_scratch.lab.bench.numpy_rival import NumpyRival
from fcn_from_scratch.lab.bench.work import convolution, takes_winograd


class CupyRival(NumpyRival):
    """NumpyRival's methods on the GPU, timed by events.

    algorithm  "auto": the project's own choice. "winograd": Winograd for each 3x3 convolution at stride 1, except those
               that read the pictures, where the transforms cost more than three channels save. "im2col", "implicit":
               for each convolution that the algorithm takes
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
        takes = {
            "winograd": takes_winograd(node) and precision() == "full",  # under TF32 it is refused
            "implicit": convolution(node.layer).groups == 1,
        }
        return algorithm if takes.get(algorithm, True) else "auto"

    def peak(self):
        """Peak bytes of all arrays during the work. The first run, which also compiles, is not counted."""
        self.run()
        return highest(self.cupy, self.run)
