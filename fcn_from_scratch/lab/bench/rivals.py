"""Who competes: what makes each rival of a work, how tables call it, and who meets whom."""

from typing import NamedTuple

from fcn_from_scratch.lab.bench.cupy_rival import CupyRival
from fcn_from_scratch.lab.bench.numpy_rival import FastFc6Rival, NumpyRival, StreamRival, ZeroFrameRival
from fcn_from_scratch.lab.bench.torch_rival import TorchCudaRival, TorchRival


class Rival(NamedTuple):
    """Names for tables, long and short, and what makes the rival of a Work: make(work, *arguments)."""

    title: str
    short: str
    make: type
    arguments: tuple


RIVALS = {
    "fcn": Rival("fcn_from_scratch", "ours", NumpyRival, ("auto",)),
    "zero_frame": Rival("the same with the zero frame", "zero frame", ZeroFrameRival, ()),
    "fast_fc6": Rival("the same with fc6 by F(2, 7)", "fast fc6", FastFc6Rival, ()),
    "stream": Rival("the same with both", "both", StreamRival, ()),
    "im2col": Rival("the same by im2col", "im2col", NumpyRival, ("im2col",)),
    "torch": Rival("PyTorch NCHW", "NCHW", TorchRival, ("contiguous_format",)),
    "torch_cl": Rival("PyTorch channels_last", "channels_last", TorchRival, ("channels_last",)),
    "cuda": Rival("fcn_from_scratch", "ours", CupyRival, ("auto",)),
    "cuda_winograd": Rival("the same by Winograd", "Winograd", CupyRival, ("winograd",)),
    "cupy": Rival("the same without its kernels", "CuPy", CupyRival, ("auto", False)),
    "torch_cuda": Rival("PyTorch NCHW", "NCHW", TorchCudaRival, ("contiguous_format",)),
    "torch_cuda_cl": Rival("PyTorch channels_last", "channels_last", TorchCudaRival, ("channels_last",)),
}

# device -> peer -> who competes with whom, ours first, and who says in float64 what is right. That one computes on the
# CPU always, so that a GPU is held to something that shares no kernel with it.
COMPETITIONS = {
    "cpu": {"torch": (("fcn", "torch", "torch_cl"), "torch"), "none": (("fcn", "im2col"), "im2col")},
    "cuda": {
        "torch": (("cuda", "cuda_winograd", "cupy", "torch_cuda", "torch_cuda_cl"), "torch"),
        "none": (("cuda", "cuda_winograd", "cupy"), "im2col"),
    },
}
PEERS = ("torch", "none")
