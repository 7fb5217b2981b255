"""Recognise the format of a file of weights by its content.

The extension counts only where the content says nothing. It then chooses the reader that complains.
"""

from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.archive import names_in
from fcn_from_scratch.weights.caffemodel import FIRST_BYTES, read_caffemodel
from fcn_from_scratch.weights.npz import read_npz
from fcn_from_scratch.weights.safetensors import looks_like_safetensors, read_safetensors
from fcn_from_scratch.weights.shards import looks_like_index, read_shards
from fcn_from_scratch.weights.torch_files import read_torch
from fcn_from_scratch.weights.trust import MOST_JSON, parsed_json

MODEL_PREFIX = "model/"  # a checkpoint's parameters have this prefix; the optimiser's state lies beside them
JSON_FACTS = ("options", "transform", "classes", "palette")
CAFFE, CHAINER, CHECKPOINT, NUMPY, PYTORCH, SAFETENSORS, SHARDS = (
    "Caffe .caffemodel",
    "Chainer .npz",
    "checkpoint of this project",
    ".npz of arrays",
    "PyTorch file",
    ".safetensors",
    "index of .safetensors files",
)
_BY_EXTENSION = {
    ".npz": NUMPY,
    ".pth": PYTORCH,
    ".pt": PYTORCH,
    ".tar": PYTORCH,
    ".safetensors": SAFETENSORS,
    ".caffemodel": CAFFE,
}
_MATLAB = (
    "it is a MATLAB file, such as those of MatConvNet, which cannot be read: save its params as .npz, the filters "
    "transposed to (out, in, h, w), as docs/weights.md shows"
)
_OTHERS = {
    b"MATLAB ": _MATLAB,
    b"\x89HDF": "it is HDF5, from Caffe or Keras, which cannot be read: save the network as .caffemodel or .npz",
    b"\x1f\x8b": "it is packed with gzip: unpack it first",
    b"\xff\xd8": "it is a picture",
    b"\x89PNG": "it is a picture",
    b"version https://git-lfs": "it is a pointer to a file that Git LFS keeps elsewhere: fetch it with `git lfs pull`",
    b"\x93NUMPY": "it is one array without a name: np.savez(FILE, NAME=np.load(FILE)) writes arrays with names",
    b"<": "it is a web page: the download did not give the file",
}


_PICKLED_NUMPY = (
    "it is a .npy of Python objects, probably a dict of arrays, and opening it may run code in it: if you trust it, "
    "save its arrays by np.savez, as docs/weights.md shows"
)


class Content(NamedTuple):
    """What is in a file of weights."""

    arrays: dict  # name -> array; the names are the file's; those of Caffe and Chainer become NAME.weight and NAME.bias
    format: str  # one of the words above
    meta: dict  # what else the file says: a trainer's arch and best_mean_iu, this project's transform and model
    notes: tuple = ()  # sentences for the user: where the arrays lay, and what was left out


def read_file(path):
    """Read a file in any format that is known here. Returns: Content.

    Raises: InputError naming the file and what is wrong with it; OSError when it cannot be opened.
    """
    kind = recognise(path)
    if kind == CAFFE:
        arrays, form = read_caffemodel(path)
        return Content(arrays, CAFFE, {"form": form})
    if kind == PYTORCH:
        arrays, meta, notes = read_torch(path)
        return Content(arrays, PYTORCH, _with_values(meta), tuple(notes))
    if kind == SHARDS:
        arrays, meta = read_shards(path)
        return Content(arrays, SHARDS, _with_values(meta))
    if kind == SAFETENSORS:
        arrays, meta = read_safetensors(path)
        return Content(arrays, SAFETENSORS, _with_values(meta))
    return _npz(read_npz(path))


def recognise(path):
    """The format of a file.

    Raises: InputError for a file that holds no weights.
    """
    with open_regular(path) as file:
        head = file.read(64)
    by_extension = _BY_EXTENSION.get(Path(path).suffix.lower())
    if head[:2] == b"PK":
        names = names_in(path)
        if any(name.endswith(".npy") for name in names):
            return NUMPY
        return PYTORCH if by_extension == PYTORCH or any(name.endswith("data.pkl") for name in names) else NUMPY
    if looks_like_safetensors(head):
        return SAFETENSORS
    if head[:1] == b"\x80":  # how a pickle begins
        return PYTORCH
    if looks_like_index(head):
        return SHARDS
    if head.startswith(b"\x93NUMPY") and b"|O" in head:
        raise InputError(f"{path} is not a file of weights: {_PICKLED_NUMPY}")
    for start, what in _OTHERS.items():
        if head.startswith(start):
            raise InputError(f"{path} is not a file of weights: {what}")
    if head[:1] and head[0] in FIRST_BYTES:
        return CAFFE
    if Path(path).suffix.lower() == ".mat":
        raise InputError(f"{path} is not a file of weights: {_MATLAB}")
    if by_extension is None:
        raise InputError(f"{path} is not a file of weights that can be read: .caffemodel, .pth, .npz or .safetensors")
    return by_extension


def parameters(arrays):
    """The parameters among a checkpoint's arrays, as a dict with the model's own names."""
    return {name[len(MODEL_PREFIX) :]: array for name, array in arrays.items() if name.startswith(MODEL_PREFIX)}


def _npz(arrays):
    meta = _json(arrays.pop("meta", None))
    if parameters(arrays):
        return Content(parameters(arrays), CHECKPOINT, meta)
    if any(name.endswith("/W") for name in arrays):
        return Content({_from_chainer(name): array for name, array in arrays.items()}, CHAINER, meta)
    return Content(arrays, NUMPY, meta)


def _from_chainer(name):
    """conv1_1/W becomes conv1_1.weight, and conv1_1/b becomes conv1_1.bias."""
    *layer, last = name.split("/")
    return ".".join([*layer, {"W": "weight", "b": "bias"}.get(last, last)])


def _json(array):
    """The dict in an archive's array `meta`, which is JSON as bytes. Anything else gives {}."""
    value = None if array is None or array.nbytes > MOST_JSON else _parsed(array.tobytes())
    return value if isinstance(value, dict) else {}


def _with_values(meta):
    """The facts of a file, with values in place of JSON. `fcn export` writes these as text; see lab.export.facts."""
    texts = {key: meta[key] for key in JSON_FACTS if isinstance(meta.get(key), str)}
    return meta | {key: value for key, text in texts.items() if (value := _parsed(text)) is not None}


def _parsed(text):
    """The value of a JSON text from a stranger, or None if it is none."""
    try:
        return parsed_json(text)
    except ValueError:
        return None
