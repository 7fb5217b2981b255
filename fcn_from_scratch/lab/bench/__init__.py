"""How fast the networks run here, beside PyTorch: what `fcn bench` does.

work        what is measured, as data: a network, a picture, a forward or a training step; its multiply-adds
rivals      who competes
numpy_rival cupy_rival torch_rival   the same work by each of them, behind the same methods
torch_twin  any network of ours, computed by PyTorch
processes   a rival in a process of its own: its threads, its memory
clocks      time by the wall, or by events on a GPU
ceiling gpu the fastest matrix product this machine makes; on a GPU also the fastest copy, and what the GPU is
timing      rivals in turn; medians
measuring   all of it in one run
kernels pieces   every CUDA kernel alone, beside CuPy's functions
report kernel_report   the numbers as tables, CSV and JSON
chart       the same as bars

PyTorch is imported in processes of its own alone, and only if it is asked to compete.
"""

from fcn_from_scratch.lab.bench.kernels import KernelResult, measure_kernels
from fcn_from_scratch.lab.bench.measuring import Ceilings, Result, Row, Settings, measure
from fcn_from_scratch.lab.bench.rivals import RIVALS
from fcn_from_scratch.lab.bench.work import LESSON, Work

__all__ = [
    "LESSON",
    "RIVALS",
    "Ceilings",
    "KernelResult",
    "Result",
    "Row",
    "Settings",
    "Work",
    "measure",
    "measure_kernels",
]
