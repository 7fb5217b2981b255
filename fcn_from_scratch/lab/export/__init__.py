"""Trained networks for other programs: as ONNX, for PyTorch, or as .safetensors. No other package is needed for this.

export   choose the format by the file's extension
facts    what a file says about its network
tensors  the arrays of .pth and .safetensors, under the names that other programs expect
onnx_*   the network as an ONNX graph: its layers, its messages, its file
torch_file, pickle_program   a file of torch.save, and the pickle inside it
safetensors_file, protobuf   the two other formats
"""

from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.export import onnx_file, safetensors_file, torch_file
from fcn_from_scratch.lab.export.facts import facts

__all__ = ["WRITERS", "check_name", "export", "facts"]

# extension: a function (path, model, facts) that writes the file and returns a sentence about it
WRITERS = {".onnx": onnx_file.write, ".safetensors": safetensors_file.write, ".pth": torch_file.write}


def export(model, path, extra=None):
    """Write a trained network to a file. The extension of `path` chooses the format, one of WRITERS.

    .onnx         the network and its weights. Height, width and batch size stay free
    .pth          the weights for PyTorch, a state dict. torch.load(path, weights_only=True) reads it
    .safetensors  the same weights
    In each format the file also holds the facts of lab.export.facts: the model's name and options, the preprocessing,
    the classes and their colours.

    model  a network of models.build; it is not changed
    extra  what its checkpoint says about its data: "classes" and "palette"
    Returns: a sentence about the file.
    Identity: ONNX Runtime, PyTorch and this package compute the same scores (tests/lab/export/).
    Raises: InputError for another extension, a folder, and for .onnx a layer that has no counterpart in ONNX.
    """
    return WRITERS[check_name(path)](Path(path), model, facts(model, extra or {}))


def check_name(path):
    """The extension of `path`. Raises: InputError if it is not one of WRITERS, or if no file can have this path."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file that ends in {', '.join(WRITERS)}")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: {path.parent} is a file and not a folder")
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"the extension chooses the format: {', '.join(WRITERS)}; got {path.name}")
    return path.suffix.lower()
