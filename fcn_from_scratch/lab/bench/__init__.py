"""How fast the networks run on this machine, compared with other programs: the code of `fcn bench`.

A rival is one program that does the work: this project, or a peer. Each runs in its own process.

work            what is measured: a network, pictures, and a forward or a training step; its multiply-adds
peers           the packages that we are compared with, and why one cannot take part
rivals          the list of rivals, and which ones are compared with each other
numpy_rival cupy_rival torch_rival   the work in NumPy, CuPy and PyTorch, with the same methods
onnxruntime_rival openvino_rival     the forward by ONNX Runtime and OpenVINO
onnx_rival      what these two share: the network as an ONNX file
torch_network   any network of this project, computed by PyTorch
processes       a process for each rival, with its own threads and memory
starting        the rivals' processes, and the true scores
drawn           the weights, drawn by one process and read by the others
budget          the seconds for a whole command
clocks          times by the system's clock, or by events on a GPU
ceiling         the fastest matrix product of the CPU
gpu             facts about the GPU, its fastest matrix product and copy, and TF32
timing          the rivals run in turn; medians
measuring       one complete measurement
scaling         time and memory over size, batch and threads, with fitted exponents
kernels         each CUDA kernel alone, beside CuPy's functions
kernel_cases    the kernels with their arrays
report kernel_report scaling_report   the results as tables, CSV and JSON
chart scaling_chart    the results as figures

The peers are imported only in the rivals' processes, and only if they take part.
"""

from fcn_from_scratch.lab.bench.budget import Budget, LateError
from fcn_from_scratch.lab.bench.kernels import KernelResult, measure_kernels
from fcn_from_scratch.lab.bench.measuring import Ceilings, Result, Row, Settings, measure
from fcn_from_scratch.lab.bench.rivals import RIVALS
from fcn_from_scratch.lab.bench.scaling import ScaleResult, measure_scale
from fcn_from_scratch.lab.bench.work import LESSON, Work, convolutions

__all__ = [
    "LESSON",
    "RIVALS",
    "Budget",
    "Ceilings",
    "KernelResult",
    "LateError",
    "Result",
    "Row",
    "ScaleResult",
    "Settings",
    "Work",
    "convolutions",
    "measure",
    "measure_kernels",
    "measure_scale",
]
