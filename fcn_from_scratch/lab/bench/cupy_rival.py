"""The work in CuPy: this project on a GPU, with its kernels or without them."""

from contextlib import ExitStack

from fcn_from_scratch.backend import device_module, plain
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.gpu import highest
from fcn_from_scratch.lab.bench.numpy_rival import NumpyRival
from fcn_from_scratch.lab.bench.work import takes_winograd


class CupyRival(NumpyRival):
    """NumpyRival's methods on the GPU, timed by events.

    algorithm  "auto" is the project's own choice; "winograd" takes it for every 3x3 convolution at stride 1 but those
               that read the pictures, whose three channels would not pay for the transforms
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
        return algorithm if algorithm != "winograd" or takes_winograd(node) else "auto"

    def peak(self):
        """Bytes of all arrays that were alive together during the work, at most: not the first, which also compiles."""
        self.run()
        return highest(self.cupy, self.run)
