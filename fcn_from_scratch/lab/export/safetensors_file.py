"""Write .safetensors files: a length of eight bytes, a JSON table of dtypes, shapes and offsets, and the numbers."""

import json

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.lab.export.tensors import in_order, tensors

ALIGNMENT = 8  # the numbers begin at a multiple of this, as in files of the format's own library


def write(path, model, facts):
    """Write the weights of `model`. Returns: a sentence about the file. `facts` become the file's __metadata__."""
    arrays = tensors(model)
    write_atomically(path, lambda file: _write(file, arrays, facts))
    return f"{len(arrays)} tensors, which load_file of the package safetensors reads"


def _write(file, arrays, facts):
    table, end = {"__metadata__": facts}, 0
    for name, array in arrays.items():
        table[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    header = json.dumps(table).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    file.write(len(header).to_bytes(8, "little"))
    file.write(header)
    for array in arrays.values():
        file.write(in_order(array))
