"""The weights of a work in a file: one process draws them, and all rivals' processes read them.

To draw the 134 million weights of FCN-8s takes 20 times as long as to read them. So the processes start, load their
libraries, and then wait for the file, if it is not there yet.
"""

import os
import tempfile
import time
from pathlib import Path

from fcn_from_scratch.lab.bench.processes import Process

NAME = "weights"
FEWEST = 10_000_000  # weights; fewer are drawn sooner than a process starts
PAUSE = 0.01  # seconds between two looks for the file
PATIENCE = 120  # seconds; then a process draws the weights itself


class Drawing:
    """Draws a work's weights and writes them to the folder. If it cannot, it takes the folder away."""

    def __init__(self, work, folder):
        folder = Path(folder)
        try:
            write(work.network(), folder)
        except (OSError, MemoryError):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def drawn_once(work, stack):
    """The Work with the folder from which its processes read the weights. They are being drawn now.

    The process that draws them, and the folder, end with the ExitStack. A small network's Work is returned as it is.
    """
    if sum(weight.size for weight in work.outline().params.values()) < FEWEST:
        return work
    temporary = tempfile.TemporaryDirectory(prefix="fcn_bench_", ignore_cleanup_errors=True)
    folder = stack.enter_context(temporary)
    stack.enter_context(Process(Drawing, work, folder, threads=1, title="the weights", wait=False))
    return work._replace(weights=folder)


def write(net, folder):
    """Write the weights of a network, each as it lies in memory. The file appears when it is complete."""
    unfinished = Path(folder, f"{NAME}.part")
    with open(unfinished, "wb") as file:
        for weight in net.params.values():
            file.write(_bytes(weight))
    os.replace(unfinished, Path(folder, NAME))


def read(net, folder):
    """Fill a network with the weights that are written to the folder. False if they will never be there."""
    path, end = Path(folder, NAME), time.monotonic() + PATIENCE
    while not path.exists():
        if not path.parent.exists() or time.monotonic() > end:
            return False
        time.sleep(PAUSE)
    with open(path, "rb") as file:
        return all(file.readinto(_bytes(weight)) == weight.nbytes for weight in net.params.values())


def _bytes(weight):
    """The weight's memory, in the order in which its numbers lie."""
    axes = sorted(range(weight.ndim), key=lambda axis: -weight.strides[axis])
    return memoryview(weight.transpose(axes).reshape(-1)).cast("B")
