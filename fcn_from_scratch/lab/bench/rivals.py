"""The rivals: how each is made, its names in tables, and which rivals are compared with each other."""

from typing import NamedTuple

from fcn_from_scratch.lab.bench.cupy_rival import CupyRival
from fcn_from_scratch.lab.bench.numpy_rival import (
    FastFc6Rival,
    NumpyRival,
    OnePictureRival,
    StreamRival,
    ZeroFrameRival,
)
from fcn_from_scratch.lab.bench.torch_rival import TorchCudaRival, TorchRival


class Rival(NamedTuple):
    """One rival: a long and a short name for tables, and its class: make(work, *arguments)."""

    title: str
    short: str
    make: type
    arguments: tuple


RIVALS = {
    "fcn": Rival("fcn_from_scratch", "ours", NumpyRival, ("auto",)),
    "zero_frame": Rival("the same with the zero frame", "zero frame", ZeroFrameRival, ()),
    "fast_fc6": Rival("the same with fc6 by F(2, 7)", "fast fc6", FastFc6Rival, ()),
    "stream": Rival("the same with both", "both", StreamRival, ()),
    "one_picture": Rival("as fcn segment runs one picture", "one picture", OnePictureRival, ()),
    "im2col": Rival("the same by im2col", "im2col", NumpyRival, ("im2col",)),
    "torch": Rival("PyTorch NCHW", "NCHW", TorchRival, ("contiguous_format",)),
    "torch_cl": Rival("PyTorch channels_last", "channels_last", TorchRival, ("channels_last",)),
    "cuda": Rival("fcn_from_scratch", "ours", CupyRival, ("auto",)),
    "cuda_winograd": Rival("the same by Winograd", "Winograd", CupyRival, ("winograd",)),
    "cupy": Rival("the same without its kernels", "CuPy", CupyRival, ("auto", False)),
    "torch_cuda": Rival("PyTorch NCHW", "NCHW", TorchCudaRival, ("contiguous_format",)),
    "torch_cuda_cl": Rival("PyTorch channels_last", "channels_last", TorchCudaRival, ("channels_last",)),
}

# device -> peer -> (the rivals, ours first; the rival that computes the reference scores in float64). The reference is
# always computed on the CPU, so that it shares no kernel with a GPU.
COMPETITIONS = {
    "cpu": {"torch": (("fcn", "torch", "torch_cl"), "torch"), "none": (("fcn", "im2col"), "im2col")},
    "cuda": {
        "torch": (("cuda", "cuda_winograd", "cupy", "torch_cuda", "torch_cuda_cl"), "torch"),
        "none": (("cuda", "cuda_winograd", "cupy"), "im2col"),
    },
}
PEERS = ("torch", "none")
