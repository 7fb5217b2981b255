"""The rivals: how each is made, its names in tables, and which rivals are compared with each other."""

from typing import NamedTuple

from fcn_from_scratch.lab.bench.cupy_rival import CupyRival
from fcn_from_scratch.lab.bench.numpy_rival import LoopRival, NumpyRival, OnePictureRival, ZeroFrameRival
from fcn_from_scratch.lab.bench.onnxruntime_rival import OnnxRuntimeRival
from fcn_from_scratch.lab.bench.openvino_rival import OpenVinoRival
from fcn_from_scratch.lab.bench.torch_rival import TorchCudaRival, TorchRival


class Rival(NamedTuple):
    """One rival: a long and a short name for tables, and its class: make(work, *arguments).

    like_for_like  False: it leaves out work in the padding that a peer does
    from_file      True: make(work, path of the network as an ONNX file)
    """

    title: str
    short: str
    make: type
    arguments: tuple = ()
    like_for_like: bool = True
    from_file: bool = False


RIVALS = {
    "fcn": Rival("fcn_from_scratch", "ours", NumpyRival, ("auto",)),
    "zero_frame": Rival("the same with the zero frame", "zero frame", ZeroFrameRival, (), False),
    "one_picture": Rival("as fcn segment runs one picture", "one picture", OnePictureRival, (), False),
    "loop": Rival("the same in a loop over layers", "loop", LoopRival),
    "im2col": Rival("the same by im2col", "im2col", NumpyRival, ("im2col",)),
    "torch": Rival("PyTorch NCHW", "NCHW", TorchRival, ("contiguous_format",)),
    "torch_cl": Rival("PyTorch channels_last", "channels_last", TorchRival, ("channels_last",)),
    "onnxruntime": Rival("ONNX Runtime", "ONNX Runtime", OnnxRuntimeRival, from_file=True),
    "openvino": Rival("OpenVINO", "OpenVINO", OpenVinoRival, from_file=True),
    "cuda": Rival("fcn_from_scratch", "ours", CupyRival, ("auto",)),
    "cuda_im2col": Rival("the same by im2col", "im2col", CupyRival, ("im2col",)),
    "cuda_implicit": Rival("the same by implicit GEMM", "implicit", CupyRival, ("implicit",)),
    "cuda_winograd": Rival("the same by Winograd", "Winograd", CupyRival, ("winograd",)),
    "cupy": Rival("the same without its kernels", "CuPy", CupyRival, ("auto", False)),
    "torch_cuda": Rival("PyTorch NCHW", "NCHW", TorchCudaRival, ("contiguous_format",)),
    "torch_cuda_cl": Rival("PyTorch channels_last", "channels_last", TorchCudaRival, ("channels_last",)),
}

# device -> our rivals, the first of which all others are compared with
OURS = {"cpu": ("fcn",), "cuda": ("cuda", "cuda_winograd", "cuda_im2col", "cuda_implicit", "cupy")}
# device -> what we are also compared with if no peer takes part
ALONE = {"cpu": ("im2col",), "cuda": ()}
