"""What the rivals that read an ONNX file share. The file is written by lab.export, with the sizes of the pictures."""

import contextlib

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench.processes import allowed_threads
from fcn_from_scratch.lab.export import facts, onnx_file
from fcn_from_scratch.lab.export.onnx_layers import INSTEAD


def write(work, path):
    """Write the work's network as an ONNX file for pictures of its size. Raises: InputError if ONNX cannot hold it."""
    net = work.network()
    try:
        onnx_file.write(path, net, facts(net, {}), (work.batch, *work.size))
    except InputError as error:
        raise InputError(str(error).removesuffix(f": {INSTEAD}")) from None


class OnnxRival:
    """Runs the forward of a network from an ONNX file. It has no training step, and measures no layer alone.

    work  the Work; its pictures are copied once into the order that ONNX fixes, NCHW
    path  of the file that `write` has written for this work
    Subclasses define load(path), predict(), threads() and described().
    Raises: InputError with the library's own words if it cannot be loaded, or cannot take the network.
    """

    def __init__(self, work, path):
        self.x = np.ascontiguousarray(work.pictures(work.outline()))
        self.allowed = allowed_threads()
        with _refusing():
            self.load(str(path))

    def scores(self):
        with _refusing():
            return np.array(self.predict())

    def run(self):
        self.predict()


@contextlib.contextmanager
def _refusing():
    """Turn a library's error into an InputError of one line. Too little memory stays what it is."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # each library has its own kinds
        lines = str(error).strip().splitlines() or ["no reason given"]
        kind = MemoryError if "bad_alloc" in str(error) else InputError
        raise kind(f"{type(error).__name__}: {lines[0]}") from None
