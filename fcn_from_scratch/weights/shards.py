"""Read weights that are spread over several .safetensors files, by their index.

The index, NAME.safetensors.index.json, is JSON: {"metadata": {"total_size": bytes}, "weight_map": {array: file}}. The
files lie beside it. Hugging Face's libraries write it for large networks.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.safetensors import data_bytes, read_safetensors
from fcn_from_scratch.weights.trust import MOST_JSON, parsed_json, printable, sound

MOST_FILES = 1000


def looks_like_index(head):
    """Whether a file begins as JSON does. `head` is its first bytes."""
    return head.lstrip()[:1] == b"{"


def read_shards(path):
    """Read the files that an index names. Returns: (arrays, meta), as read_safetensors does.

    Raises: InputError naming the index when it is no index, names a file outside of its folder or one that is not
    there, or when the files do not hold exactly the arrays, and as many bytes, as it says.
    """
    with sound(path, "index of .safetensors files"):
        files, total = _index(path)
        arrays, meta, there = {}, {}, 0
        for name, expected in files.items():
            shard = Path(path).parent / name
            if not shard.exists():
                raise InputError(f"it names {printable(name)}, which is not there: fetch all of its files")
            part, facts = read_safetensors(shard)
            if part.keys() != expected:
                odd = few(sorted(map(printable, part.keys() ^ expected)), 3)
                raise InputError(f"it and {printable(name)} differ in the arrays that they name: {odd}")
            arrays |= part
            meta |= facts
            there += data_bytes(shard)
        if total not in (None, there):
            raise InputError(f"it says that its files hold {total} bytes of numbers; they hold {there}")
    return arrays, meta


def _index(path):
    """Read and check an index. Returns: (file -> set of names of arrays, the bytes of all arrays or None)."""
    with open_regular(path) as file:
        text = file.read(MOST_JSON + 1)
    if len(text) > MOST_JSON:
        raise InputError(f"it has more than {MOST_JSON} bytes")
    table = parsed_json(text)
    names, about = table.get("weight_map"), table.get("metadata", {})
    if not isinstance(names, dict) or not names or not isinstance(about, dict):
        raise InputError("it is JSON without a weight_map, which says in which file each array lies")
    files = {}
    for array, name in names.items():
        files.setdefault(name if isinstance(name, str) else "", set()).add(array)
    if len(files) > MOST_FILES:
        raise InputError(f"it names {len(files)} files; at most {MOST_FILES} are read")
    for name in files:
        _check_name(name)
    total = about.get("total_size")
    if total is not None and (type(total) is not int or not 0 <= total < 2**63):
        raise InputError("its total_size is no number of bytes")
    return files, total


def _check_name(name):
    """Raises: InputError unless the name is that of a .safetensors file in the index's folder or below it."""
    short = printable(name[:80])
    if not name.endswith(".safetensors"):
        raise InputError(f"it names {short or 'no file'}; only .safetensors files are read by an index")
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or PurePosixPath(name).is_absolute() or ".." in windows.parts:
        raise InputError(f"it names {short}, which is outside of its own folder; nothing was read")
