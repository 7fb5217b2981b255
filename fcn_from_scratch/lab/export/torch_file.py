"""Write files that torch.load reads, without PyTorch.

The file is a zip archive, as torch.save writes it today. archive/data.pkl is a pickle of an OrderedDict with a tensor
for each name. A tensor refers to its numbers, which lie in archive/data/KEY.
"""

import zipfile
from math import prod

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.lab.export import pickle_program as pickle
from fcn_from_scratch.lab.export.tensors import in_order, tensors

ORDERED_DICT = pickle.named("collections", "OrderedDict")
REBUILD = pickle.named("torch._utils", "_rebuild_tensor_v2")
STORAGE = pickle.named("torch", "FloatStorage")
FACTS = "fcn_from_scratch"  # the attribute of the state dict that holds the facts
ALIGNMENT = 64  # bytes; PyTorch aligns the numbers so, which lets it map the file into memory
HEADER = 30  # bytes of a member's header in a zip archive, before the name and the extra field


def write(path, model, facts):
    """Write the weights of `model` as a state dict. Returns: a sentence about the file.

    `facts` become an attribute of the state dict: torch.load(path).fcn_from_scratch. They are no entry, so that a
    strict load_state_dict accepts the file.
    """
    arrays = tensors(model)
    write_atomically(path, lambda file: _write(file, arrays, facts))
    return f"{len(arrays)} tensors, for model.load_state_dict(torch.load({str(path)!r}, weights_only=True))"


def _write(file, arrays, facts):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", state_dict(arrays, facts))
        _add(archive, "byteorder", b"little")
        for key, array in enumerate(arrays.values()):
            _add(archive, f"data/{key}", in_order(array))
        _add(archive, "version", b"3\n")


def _add(archive, name, content):
    """Add a member whose content is aligned. Its date is fixed, so that the same network gives the same bytes."""
    member = zipfile.ZipInfo(f"archive/{name}")
    size = memoryview(content).nbytes
    room = -(archive.fp.tell() + HEADER + len(member.filename) + 4) % ALIGNMENT
    member.extra = b"FB" + room.to_bytes(2, "little") + b"Z" * room  # PyTorch's own padding
    member.file_size = size
    with archive.open(member, "w") as file:
        file.write(content)


def state_dict(arrays, facts):
    """The pickle of an OrderedDict of tensors. Tensor number n has its numbers in the storage called str(n)."""
    entries = [(name, _tensor(str(key), array)) for key, (name, array) in enumerate(arrays.items())]
    words = pickle.filled(pickle.EMPTY_DICT, [(key, pickle.text(value)) for key, value in facts.items()])
    attributes = pickle.filled(pickle.EMPTY_DICT, [(FACTS, words)])
    state = pickle.filled(pickle.called(ORDERED_DICT), entries)
    return pickle.program(pickle.with_attributes(state, attributes))


def _tensor(key, array):
    where = pickle.text("storage"), STORAGE, pickle.text(key), pickle.text("cpu"), pickle.integer(array.size)
    storage = pickle.persistent(pickle.sequence(*where))
    strides = [prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
    place = pickle.integer(0), pickle.integers(array.shape), pickle.integers(strides)
    return pickle.called(REBUILD, storage, *place, pickle.FALSE, pickle.called(ORDERED_DICT))
