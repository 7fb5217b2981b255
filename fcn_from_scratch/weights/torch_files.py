"""Read the files of torch.save without PyTorch: today's zip archives and the older stream of pickles.

zip      NAME/data.pkl is the pickle; NAME/data/KEY are the storages; newer files also have NAME/byteorder
stream   five pickles: a magic number, the version 1001, the writer's byte order, the content, the list of storage
         keys; then, for each key, the number of its elements as an int64, and the elements
In both forms the content refers to its storages by persistent ids.
"""

import io
import struct

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.archive import open_archive
from fcn_from_scratch.weights.pickles import MOST_BYTES, Machine
from fcn_from_scratch.weights.placeholders import Placeholder
from fcn_from_scratch.weights.state_dicts import ADVICE, KNOWN, find
from fcn_from_scratch.weights.torch_objects import GLOBALS, Storages, Tensor
from fcn_from_scratch.weights.trust import printable, read_exactly, size_of, sound

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
FEW_STEPS = 1000  # the most instructions of the version's and the system's pickle, which have a dozen each


def read_torch(path):
    """Read a file of torch.save.

    The file holds a state dict, or what a trainer saved with one in it: see state_dicts.find. Arrays may share a
    storage, as the tensors did. bfloat16 becomes float32; other numbers keep their dtype. No code in the file is ever
    run: whatever else its pickle names is left out.

    Returns: (arrays, meta, notes): a dict name -> array, what a trainer noted beside them (arch, best_mean_iu, epoch,
    ...), and sentences on where the arrays lay and what was left out.
    Raises: InputError naming the file when it is damaged, was written big-endian, or holds no dict of tensors, or
    several.
    """
    with open_regular(path) as file, sound(path, "PyTorch file"):
        zipped = file.read(2) == b"PK"
        file.seek(0)
        return _read_zip(file) if zipped else _read_stream(file)


def _read_zip(file):
    storages = Storages()
    with open_archive(file) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise InputError("it holds no NAME/data.pkl")
        folder = pickles[0][: -len("data.pkl")]
        if folder + "constants.pkl" in names:
            raise InputError(f"it is a TorchScript program, which cannot be read; {ADVICE}")
        if folder + "byteorder" in names:
            with archive.open(folder + "byteorder") as stream:
                _little_endian(stream.read(10).strip() == b"little")

        def read(storage):
            member = archive.getinfo(f"{folder}data/{storage.key}")
            size = storage.count * storage.kind.itemsize
            if member.file_size != size:
                raise InputError(f"{member.filename} has {member.file_size} bytes; {size} were to be there")
            with archive.open(member) as stream:
                return read_exactly(stream, size, member.filename)

        storages.read = read
        member = archive.getinfo(pickles[0])
        if member.file_size > MOST_BYTES:
            raise InputError(f"its pickle has {member.file_size} bytes: this is not a file of weights")
        with archive.open(member) as stream:
            program = read_exactly(stream, member.file_size, member.filename)
        machine = Machine(io.BytesIO(program), GLOBALS, storages.declare)
        return _parameters(machine.run(), storages, machine.unknown)


def _read_stream(file):
    storages, size = Storages(), size_of(file)
    if Machine(file, {}).run() != MAGIC:
        raise InputError(
            "it does not begin as torch.save begins. A dict of arrays that can be read is written by np.savez"
        )
    version = Machine(file, {}).run(FEW_STEPS)
    if version != VERSION:
        found = version if isinstance(version, int) else f"a {type(version).__name__}"
        raise InputError(f"its version is {found}; {VERSION} is what can be read")
    system = Machine(file, {}).run(FEW_STEPS)
    _little_endian(isinstance(system, dict) and system.get("little_endian") is True)
    machine = Machine(file, GLOBALS, storages.declare)
    content = machine.run()
    keys = Machine(file, {}).run()
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages.declared for key in keys):
        raise InputError("its list of storages names one that its pickle does not")
    places, place = {}, file.tell()
    for key in keys:
        kind, count = storages.declared[key]
        file.seek(place)
        (there,) = struct.unpack("<q", file.read(8))
        if there != count:
            raise InputError(f"storage {key} has {there} numbers; {count} were to be there")
        places[key] = place + 8
        place += 8 + count * kind.itemsize
        if place > size:
            raise InputError(f"storage {key} ends at byte {place} of {size}")

    def read(storage):
        if storage.key not in places:
            raise InputError(f"storage {storage.key} is not there")
        file.seek(places[storage.key])
        return read_exactly(file, storage.count * storage.kind.itemsize, f"storage {storage.key}")

    storages.read = read
    return _parameters(content, storages, machine.unknown)


def _little_endian(true):
    if not true:
        raise InputError("it was written on a big-endian machine, or does not say on which")


def _facts(state):
    """The words that `fcn export` gave a state dict as an attribute, which holds no tensor."""
    found = getattr(state, "attributes", {}).get("fcn_from_scratch")
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _parameters(content, storages, unknown):
    """Take the content apart. Returns: (the state dict's arrays, the words and numbers beside it, notes)."""
    try:
        found = find(content)
    except InputError as error:
        raise InputError(f"{error}{';' if unknown else ''}{_unknown(unknown)}") from None
    meta = _facts(found.state)
    if found.keys and isinstance(content, dict):
        meta = {str(k): v for k, v in content.items() if isinstance(k, str) and isinstance(v, (str, bool, int, float))}
    notes = [] if found.keys in ((), *((key,) for key in KNOWN)) else [f"its parameters lie at {found.words}"]
    lost = [f"{name} ({value})" for name, value in found.state.items() if isinstance(value, Placeholder)]
    notes += [f"among its parameters are objects that cannot be read: {printable(few(lost))}"] if lost else []
    notes += [f"beside its parameters{_unknown(unknown)}"] if unknown and not lost else []
    tensors = {
        name: value for name, value in found.state.items() if isinstance(value, Tensor) and isinstance(name, str)
    }
    return {name: storages.array(name, tensor) for name, tensor in tensors.items()}, meta, notes


def _unknown(names):
    """What a pickle names beside tensors, dicts and numbers; "" if nothing."""
    return (
        f" its pickle names {few(list(names))}, which building arrays does not need; nothing was run" if names else ""
    )
