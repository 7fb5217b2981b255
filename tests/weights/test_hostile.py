"""Files from strangers: each is read, or refused by one InputError. None runs code or takes much memory."""

import contextlib
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import weight_files as files
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights import pickles, protobuf
from fcn_from_scratch.weights.torch_objects import GLOBALS

FUZZED = 2000  # files a reader, in test_mangled_files
SPARE = 3 << 20  # bytes that reading a small file may take, whatever it says


@pytest.fixture
def arrays():
    rng = np.random.default_rng(4)
    return {
        "conv1_1.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv1_1.bias": rng.standard_normal(4).astype(np.float32),
        "fc6.weight": rng.standard_normal((5, 16)).astype(np.float32),
    }


@pytest.fixture(autouse=True)
def canary(monkeypatch):
    """Functions that hostile files like to call: calling one fails the test."""

    def sing(*_, **__):
        raise AssertionError("a file was able to call a function")

    for module, name in [(os, "system"), (os, "popen"), (subprocess, "Popen"), (pickle, "loads"), (pickle, "load")]:
        monkeypatch.setattr(module, name, sing)
    monkeypatch.setattr(sys.modules[os.name if os.name == "nt" else "posix"], "system", sing)


def outcome(path):
    """What is in a file, or None when it was refused as it should be: by an InputError that names it, in a sentence."""
    try:
        content = weights.read_file(path)
    except InputError as error:
        message = str(error)
        assert str(path) in message
        assert len(message) < 1000
        assert "\n" not in message
        return None
    for array in content.arrays.values():
        assert array.dtype.kind in "fiub"
        float(array.sum())  # every number can be reached
    return content


@contextlib.contextmanager
def memory_below(limit):
    """What happens inside takes less than `limit` bytes at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def refused(tmp_path, content, *fragments, name="hostile.pth"):
    """Expects a file of these bytes to be refused for this reason."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        weights.read_file(path)
    for fragment in (str(path), *fragments):
        assert fragment in str(caught.value), caught.value


# --- damaged files --------------------------------------------------------------------------------------------


def npz(arrays, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    (np.savez if method == zipfile.ZIP_STORED else np.savez_compressed)(file, **arrays)
    return file.getvalue()


def trainer(arrays):
    return {"epoch": 3, "arch": "FCN8s", "model_state_dict": files.state_dict(arrays)}


READERS = {
    "new.caffemodel": files.caffemodel,
    "v1.caffemodel": lambda arrays: files.caffemodel(arrays, "v1", packed=False),
    "zip.pth": lambda arrays: files.torch_zip(trainer(arrays)),
    "stream.pth": lambda arrays: files.torch_stream(trainer(arrays)),
    "any.safetensors": files.safetensors,
    "chainer.npz": lambda arrays: npz(files.chainer_names(arrays)),
}


def mangled(content, dice):
    """One to three of: a flipped bit, a byte, a run of bytes, a number put in place of another, a cut, a doubling."""
    data = bytearray(content or b"\0")
    for _ in range(dice.randrange(1, 4)):
        place, length = dice.randrange(len(data)), dice.randrange(1, 24)
        kind = dice.randrange(7)
        if kind == 0:
            data[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[place] = dice.randrange(256)
        elif kind == 2:
            data[place : place + length] = bytes([dice.choice([0, 1, 127, 128, 255])]) * length
        elif kind == 3:
            value = dice.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
            width = dice.choice([1, 2, 4, 8])
            data[place : place + width] = (value % 2 ** (8 * width)).to_bytes(width, dice.choice(["little", "big"]))
        elif kind == 4:
            del data[place : place + length]
        elif kind == 5:
            data[place:place] = data[place : place + length]
        elif len(data) > 40:
            del data[max(place, 20) :]
        data = data or bytearray(1)
    return bytes(data)


def mangle_inside(name, content, dice):
    """A damaged file. Of archives half are packed after the damage, so that no checksum tells."""
    if name.endswith((".npz", "zip.pth")) and dice.randrange(2):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(member, archive.read(member)) for member in archive.namelist()]
        number = dice.randrange(len(members))
        members[number] = (members[number][0], mangled(members[number][1][:400], dice) + members[number][1][400:])
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for member, data in members:
                archive.writestr(member, data)
        return file.getvalue()
    head = dice.choice([len(content), 200, 600])  # the numbers at the end are mostly harmless
    return mangled(content[:head], dice) + content[head:]


@pytest.mark.filterwarnings("ignore")  # NumPy's and Python's, about what headers happen to say; and numbers overflow
class TestDamage:
    @pytest.mark.parametrize("name", READERS)
    def test_mangled_files(self, name, arrays, tmp_path):
        content = READERS[name](arrays)
        path, dice, refused = tmp_path / name, random.Random(name), 0
        for number in range(FUZZED):
            path.unlink(missing_ok=True)  # to write over a file can wait for the disk
            path.write_bytes(mangle_inside(name, content, dice))
            with memory_below(SPARE) if number % 8 == 0 else contextlib.nullcontext():  # watching is slow
                refused += outcome(path) is None
        assert FUZZED * 0.3 < refused <= FUZZED

    @pytest.mark.parametrize("name", READERS)
    def test_cut_short_anywhere(self, name, arrays, tmp_path):
        content, path = READERS[name](arrays), tmp_path / name
        for length in [*range(0, len(content), 7), len(content) - 1]:
            path.write_bytes(content[:length])
            found = outcome(path)
            if found is not None:  # a .caffemodel may end after any of its layers
                assert name.endswith(".caffemodel")
                assert found.arrays.keys() <= arrays.keys()

    @pytest.mark.parametrize("name", READERS)
    def test_bytes_appended(self, name, arrays, tmp_path):
        """Never more than the arrays that were written."""
        path = tmp_path / name
        for extra in (b"\0", b"\xff" * 9, b"PK\x03\x04", bytes(3000)):
            path.write_bytes(READERS[name](arrays) + extra)
            found = outcome(path)
            assert found is None or found.arrays.keys() == arrays.keys()


# --- pickles --------------------------------------------------------------------------------------------------


class Call:
    """Pickled, it calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Evil(list):
    pass


WRAPS = {
    "zip": lambda program: files.torch_zip({}, data_pkl=program),
    "stream": lambda program: files.torch_stream({}, program=program),
}
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor_program(storage=STORAGE, offset=b"K\0", size=b"K\x04\x85", stride=b"K\x01\x85", flags=b"\x89)"):
    """A state dict of one tensor whose parts are the given instructions."""
    build = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + flags + b"tR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + build + b"s."


@pytest.mark.parametrize("wrap", WRAPS)
class TestPickles:
    @pytest.mark.parametrize(
        ("function", "named"),
        [
            (os.system, "system"),
            (eval, "builtin"),
            (exec, "builtin"),
            (getattr, "getattr"),
            (__import__, "__import__"),
            (open, "open"),
            (os.path.join, "join"),
            (pickle.loads, "loads"),
            (subprocess.Popen, "Popen"),
            (np.fromfile, "fromfile"),
            (np.load, "load"),
            (str.join, "getattr"),
            (bytearray, "bytearray"),
            (list, "list"),
            (range, "range"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_function_is_refused_by_name(self, wrap, function, named, tmp_path, monkeypatch):
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        argument = "touch sprung" if function is os.system else "open('sprung', 'w')"
        program = pickle.dumps({"w": Call(function, argument)}, 2)
        refused(tmp_path, WRAPS[wrap](program), named, "which building arrays does not need; nothing was run")
        assert not (tmp_path / "sprung").exists()

    def test_names_in_the_middle_of_good_ones(self, wrap, tmp_path):
        """A function that may be called, called on the result of one that may not."""
        inner = b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R"
        refused(tmp_path, WRAPS[wrap](tensor_program(storage=inner)), "posix.system")
        state = b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00acbuiltins\neval\nsb."
        refused(tmp_path, WRAPS[wrap](state), "builtins.eval")

    def test_protocol_4_names(self, wrap, tmp_path):
        program = pickle.dumps({"w": Evil()}, 4)
        refused(tmp_path, WRAPS[wrap](program), "Evil")
        refused(tmp_path, WRAPS[wrap](b"\x80\x04K\x01K\x02\x93."), "names a function by something that is no text")

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (b"\x80\x02(iposix\nsystem\n.", "instruction INST"),
            (b"\x80\x02(cposix\nsystem\no.", "instruction OBJ"),
            (b"\x80\x02(]o.", "instruction OBJ"),
            (b"\x80\x02])\x81.", "makes an object of a list"),
            (b"\x80\x04])}\x92.", "makes an object of a list"),
            (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "makes an object of a function"),
            (b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85\x81.", "holds a posix.system and not a dict"),
            (b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R}b.", "holds a posix.system and not a dict"),
            (b"\x80\x02cposix\nsystem\n.", "names posix.system, which building arrays does not need; nothing was run"),
            (b"\x80\x02\x82\x01.", "instruction EXT1"),
            (b"\x80\x02\x84\x01\x00\x00\x00.", "instruction EXT4"),
            (b"\x80\x05\x97.", "instruction NEXT_BUFFER"),
            (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "longer than"),
            (b"\x80\x04\x8f.", "holds a set and not a dict"),
            (b"\x80\x04(\x91.", "holds a frozenset and not a dict"),
            (b"\x80\x04](K\x01\x90.", "adds to a list as to a set"),
            (b"\x80\x04\x91.", "a mark it never set"),
            (b"\x80\x02\x8b\xff\xff\xff\x7f.", "longer than"),
            (b"\x80\x02\x8b\xff\xff\xff\xff.", "longer than"),  # of -1 bytes
            (b"\xff", "instruction"),
            (b"\x80\x02.", "takes a value that is not there"),
            (b"\x80\x020.", "takes a value that is not there"),
            (b"\x80\x02(.", "takes a value that is not there"),
            (b"\x80\x02K\x01(0.", "takes a value that is not there"),
            (b"\x80\x02u.", "a mark it never set"),
            (b"\x80\x02}(K\x01u.", "a key and no value"),
            (b"\x80\x02}(]K\x01u.", "no tensors by name but list"),
            (b"\x80\x02})K\x01s.", "no tensors by name but tuple"),
            (b"\x80\x02}G\x3f\xf0\x00\x00\x00\x00\x00\x00K\x01s.", "no tensors by name but float"),
            (b"\x80\x02K\x01K\x02a.", "adds to a int as to a list"),
            (b"\x80\x02]K\x01K\x02s.", "adds to a list as to a dict"),
            (b"\x80\x02h\x07.", "recalls value 7"),
            (b"\x80\x02g9999999999\n.", "recalls value 9999999999"),
            (b"\x80\x02K\x01p2305843009213693951\n.", "stores more values than it has instructions"),
            (b"\x80\x02K\x01)R.", "calls a int"),
            (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls a Kind"),
            (b"\x80\x02ccollections\nOrderedDict\nK\x01R.", "calls a function"),
            (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "no list of pairs"),
            (b"\x80\x02ccollections\nOrderedDict\nK\x01K\x02K\x03\x87R.", "arguments"),
            (b"\x80\x02K\x01}b.", "gives a state to a int"),
            (b"\x80\x02ccollections\nOrderedDict\n}b.", "gives a state to a function"),
            (b"\x80\x02K\x01Q.", "refers to something that is no storage"),
            (b"\x80\x02X\xff\xff\xff\xff.", "longer than"),
            (b"\x80\x02X\xff\xff\x00\x00short.", "ends in the middle"),
            (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "longer than"),
            (b"\x80\x02T\xff\xff\xff\xff.", "longer than"),
            (b"\x80\x02T\x00\x00\x00\x80.", "longer than"),
            (b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", "utf-8"),
            (b"\x80\x02I" + b"9" * 5000 + b"\n.", "more than 64 characters"),
            (b"\x80\x02L" + b"9" * 60 + b"x\n.", "invalid literal"),
            (b"\x80\x02c" + b"a" * 5000 + b"\nb\n.", "more than 4096 characters"),
            (b"\x80\x02ccollections\n" + b"\x1b[31m" * 9 + b"\n.", "names collections.?[31m"),
            (b"\x80\x02K\x01.", "holds a int and not a dict"),
            (b"\x80\x02].", "holds a list and not a dict"),
            (b"\x80\x02}.", "no tensors by name but nothing"),
            (b"\x80\x02}X\x05\x00\x00\x00epochK\x03s.", "no tensors by name but epoch"),
            (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.", "holds a numpy.dtype and not a dict"),
            (b"\x80\x02cnumpy\ndtype\nX\x06\x00\x00\x00f8,(9)\x85R.", "holds a numpy.dtype and not a dict"),
            (b"\x80\x02cnumpy.core.multiarray\nscalar\nK\x01K\x02\x86R.", "a number out of something else"),
            (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00rot\x86R.", "bytes out of something else"),
        ],
    )
    def test_programs(self, wrap, program, reason, tmp_path):
        refused(tmp_path, WRAPS[wrap](program), reason)

    def test_costly_programs(self, wrap, tmp_path, monkeypatch):
        """Nesting, hoards of objects, doubled references: bounded, and gone without a trace."""
        deep = 100_000
        monkeypatch.setattr(pickles, "MOST_STEPS", 3 * deep)
        pairs = (b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(200))
        programs = {
            b"\x80\x02" + b"]" * deep + b"a" * (deep - 1) + b".": "holds a list",
            b"\x80\x02)" + b"\x85" * deep + b".": "holds a tuple",
            b"\x80\x02}" + b")" + b"\x85" * deep + b"K\x01s.": "no tensors by name but tuple",
            b"\x80\x02" + b"(" * deep + b".": "not there",
            b"\x80\x02" + b"}" * 4 * deep + b".": f"more than {3 * deep} instructions",
            b"\x80\x02]q\x00" + b"".join(pairs) + b".": "holds a list",  # written out, 2**200 lists
            b"\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00u.": "no tensors by name but a",
        }
        path = tmp_path / "costly.pth"
        for program, reason in programs.items():
            path.write_bytes(WRAPS[wrap](program))
            with pytest.raises(InputError, match=reason):
                weights.read_file(path)
        with memory_below(SPARE):  # for the second CPython's own makes room for 2**32 values
            refused(tmp_path, WRAPS[wrap](b"\x80\x02X\x00\x00\xf0\x00."), "ends in the middle")
            refused(tmp_path, WRAPS[wrap](b"\x80\x02]r\xff\xff\xff\xff."), "holds a list")
            refused(tmp_path, WRAPS[wrap](b"\x80\x02" + b"}" * 20_000 + b"."), "no tensors by name")

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            ({"offset": b"K\x01"}, "w of shape (4,) reaches to number 5 of 4 stored"),
            ({"offset": b"J\xff\xff\xff\xff"}, "without a storage or a place in it"),
            ({"offset": b"\x8a\x09" + b"\xff" * 8 + b"\x7f"}, "reaches to number"),
            ({"size": b"K\x05\x85"}, "w of shape (5,) reaches to number 5 of 4 stored"),
            ({"size": b"K\x03\x85", "stride": b"K\x02\x85"}, "reaches to number 5 of 4 stored"),
            ({"size": b"J\xff\xff\xff\xff\x85"}, "no tuple of sizes"),
            ({"stride": b"J\xff\xff\xff\xff\x85"}, "no tuple of sizes"),
            ({"size": b"K\x02K\x02\x86"}, "of size (2, 2) with 1 strides"),
            (
                {"size": b"J\x00\x00\x00\x7f\x85", "stride": b"K\x00\x85"},
                "repeats the 4 numbers that are stored too often",
            ),  # one number, 2 billion times
            ({"size": b"(" + b"K\x02" * 40 + b"t", "stride": b"(" + b"K\0" * 40 + b"t"}, "no tuple of sizes"),
            ({"size": b"\x88\x85"}, "no tuple of sizes"),
            ({"size": b"K\x04"}, "no tuple of sizes"),
            ({"storage": b"K\x01"}, "without a storage"),
            ({"storage": STORAGE.replace(b"0X\x03", b"7X\x03")}, ""),
            ({"storage": STORAGE.replace(b"K\x04", b"K\x40")}, "were to be there"),
            ({"storage": STORAGE.replace(b"K\x04", b"\x8a\x09" + b"\xff" * 8 + b"\x7f")}, ""),
            ({"storage": STORAGE.replace(b"FloatStorage", b"QInt8Storage")}, ""),
            ({"storage": STORAGE.replace(b"FloatStorage", b"DoubleStorage")}, ""),
            ({"storage": STORAGE.replace(b"ctorch\nFloatStorage\n", b"K\x01")}, "no dtype, name or size"),
            ({"storage": STORAGE.replace(b"storage", b"modules")}, "model.state_dict() is what can be read"),
        ],
    )
    def test_tensors_that_leave_their_storage(self, wrap, parts, reason, tmp_path):
        good = {"w": files.tensor(np.arange(4, dtype=np.float32))}
        program = tensor_program(**parts)
        data = files.torch_zip(good, data_pkl=program) if wrap == "zip" else files.torch_stream(good, program=program)
        refused(tmp_path, data, reason)

    def test_the_good_one_among_them(self, wrap, tmp_path):
        good = {"w": files.tensor(np.arange(4, dtype=np.float32))}
        write = {
            "zip": lambda p: files.torch_zip(good, data_pkl=p),
            "stream": lambda p: files.torch_stream(good, program=p),
        }
        (tmp_path / "w.pth").write_bytes(write[wrap](tensor_program()))
        assert weights.read(tmp_path / "w.pth")["w"].tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("window", "offset", "expected"),
        [
            ((3, 4), 0, [3, 4]),
            ((3, 4), 2, [5, 6]),
            ((6, 4), 2, [8, 9]),
            ((3, 4), 3, "reaches to number 5 of 4 stored"),
            ((7, 4), 0, "has 10 numbers; a window reaches to 11"),
        ],
    )
    def test_windows_of_old_files(self, wrap, window, offset, expected, tmp_path):
        """A storage that is a part of another: (its name, where it begins, how many numbers it has)."""
        good = {"w": files.tensor(np.arange(10, dtype=np.float32))}
        view = b"X\x01\x00\x00\x00vK" + bytes(window[:1]) + b"K" + bytes(window[1:]) + b"\x87"
        storage = STORAGE.replace(b"K\x04t", b"K\x0a" + view + b"t")
        program = tensor_program(storage=storage, offset=b"K" + bytes([offset]), size=b"K\x02\x85")
        write = files.torch_zip(good, data_pkl=program) if wrap == "zip" else files.torch_stream(good, program=program)
        if isinstance(expected, str):
            refused(tmp_path, write, expected)
        else:
            (tmp_path / "w.pth").write_bytes(write)
            assert weights.read(tmp_path / "w.pth")["w"].tolist() == expected

    def test_many_views_take_no_memory(self, wrap, tmp_path):
        """A thousand tensors on one storage of 4 MB: 4 GB, if each were copied."""
        row = files.Row(np.zeros(1 << 20, np.float32))
        content = {f"w{n}": files.Tensor(row, (1024, 1024), (1, 1024)) for n in range(1000)}
        (tmp_path / "w.pth").write_bytes((files.torch_zip if wrap == "zip" else files.torch_stream)(content))
        with memory_below(16 << 20):
            read = weights.read(tmp_path / "w.pth")
        assert len(read) == 1000


INSTRUCTIONS = st.sampled_from(
    [
        *(bytes([op]) for op in b"N)]}(0123atseulbdRQ.\x85\x86\x87\x88\x89\x93\x94"),
        *(
            b"K\x01",
            b"M\x00\x01",
            b"J\xff\xff\xff\xff",
            b"X\x01\x00\x00\x00w",
            b"U\x01w",
            b"C\x01x",
            b"q\x00",
            b"h\x00",
        ),
        *(b"\x8a\x02\x00\x01", b"G" + bytes(8), b"I01\n", b"L5L\n", b"p1\n", b"g1\n", b"r\x00\x00\x00\x00"),
        *(f"c{name.replace(' ', chr(10))}\n".encode() for name in GLOBALS),
        STORAGE,
        tensor_program()[2:-1],
    ]
)


@given(st.lists(INSTRUCTIONS, max_size=30))
def test_any_program_ends_in_a_value_or_a_sentence(instructions):
    """Instructions that are all allowed, in any order."""
    storages = []
    machine = pickles.Machine(io.BytesIO(b"".join(instructions) + b"."), GLOBALS, lambda i: storages.append(i) or i)
    with contextlib.suppress(ValueError, TypeError):  # TypeError: too many arguments; readers make it an InputError
        machine.run()


# --- archives -------------------------------------------------------------------------------------------------


class TestTorchArchives:
    @pytest.fixture
    def good(self, arrays):
        return files.state_dict(arrays)

    def test_big_endian(self, good, tmp_path):
        refused(tmp_path, files.torch_zip(good, byteorder=b"big"), "big-endian")
        refused(tmp_path, files.torch_stream(good, little_endian=False), "big-endian")

    def test_no_byte_order_is_an_older_file(self, good, arrays, tmp_path):
        (tmp_path / "w.pth").write_bytes(files.torch_zip(good, byteorder=None))
        assert weights.read(tmp_path / "w.pth").keys() == arrays.keys()

    def test_a_program(self, good, tmp_path):
        refused(tmp_path, files.torch_zip(good, extra=[("archive/constants.pkl", b"")]), "TorchScript")

    def test_a_bomb(self, tmp_path):
        """A pickle and a storage of zeros that unpack a thousandfold."""
        bomb = files.torch_zip({"w": files.tensor(np.zeros(40 << 20, np.float32))}, method=zipfile.ZIP_DEFLATED)
        assert len(bomb) < 1 << 20
        refused(tmp_path, bomb, "this is not a file of weights")
        refused(tmp_path, files.torch_zip({}, data_pkl=bytes(20 << 20), method=zipfile.ZIP_DEFLATED), "its pickle has")

    def test_a_directory_without_end(self, tmp_path):
        """A hundred thousand members of no bytes: as objects they would take ten times the file."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("member", b"")
        content = file.getvalue()
        start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
        entry, number = content[start:end], 100_000
        counted = struct.pack("<HHII", 9, 9, number * len(entry), start)
        content = content[:start] + entry * number + content[end : end + 8] + counted + b"\0\0"
        with memory_below(20 << 20):
            for name in ("w.pth", "w.npz", "w"):
                refused(tmp_path, content, "its directory claims 5200000 bytes", name=name)

    def test_names_twice(self, good, tmp_path):
        with pytest.warns(UserWarning, match="Duplicate name"):
            content = files.torch_zip(good, extra=[("archive/data/0", bytes(108))])
        refused(tmp_path, content, "the same name")

    @pytest.mark.parametrize("folder", ["/etc", "../../..", "a/b", ""])
    def test_odd_folders(self, good, folder, tmp_path):
        """Nothing is unpacked, whatever the members are called."""
        before = sorted(tmp_path.rglob("*"))
        (tmp_path / "w.pth").write_bytes(files.torch_zip(good, folder=folder))
        assert outcome(tmp_path / "w.pth") is None or folder == ""
        assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "w.pth"]

    def test_storages_missing_or_of_another_size(self, good, tmp_path):
        rows = []
        program = files.torch_pickle(good, rows)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a/data.pkl", program)
        refused(tmp_path, file.getvalue(), "a/data/0")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("a/data/0", bytes(5))
        refused(tmp_path, file.getvalue(), "a/data/0 has 5 bytes; 432 were to be there")

    def test_no_pickle_or_two(self, good, tmp_path):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/version", b"3")
        refused(tmp_path, file.getvalue(), "no NAME/data.pkl")
        refused(tmp_path, files.torch_zip(good, extra=[("b/data.pkl", b".")]), "no NAME/data.pkl")


class TestTorchStreams:
    def test_what_comes_first(self, arrays, tmp_path):
        good = files.state_dict(arrays)
        refused(tmp_path, files.torch_stream(good, magic=7), "does not begin as torch.save begins")
        refused(tmp_path, files.torch_stream(good, version=1002), "version is 1002")
        refused(tmp_path, pickle.dumps(print, 2), "does not begin as torch.save begins", "np.savez")

    @pytest.mark.parametrize("keys", [["0", "9"], [["0"]], "012", {"0": 1}, [0, 1, 2], ["0", "1"]])
    def test_keys_of_storages(self, arrays, keys, tmp_path):
        refused(tmp_path, files.torch_stream(files.state_dict(arrays), keys=keys), "storage")

    def test_sizes_of_storages(self, arrays, tmp_path):
        content = files.torch_stream(files.state_dict(arrays))
        place = content.rindex(struct.pack("<q", 80))
        for size in (81, 79, 0, -1, 2**62):
            damaged = content[:place] + struct.pack("<q", size) + content[place + 8 :]
            refused(tmp_path, damaged, f"storage 2 has {size} numbers; 80 were to be there")


# --- safetensors ----------------------------------------------------------------------------------------------


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


class TestSafetensors:
    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            (
                {"a": entry(), "b": entry(offsets=(4, 12))},
                "begins at byte 4 of the data; the array before it ends at 8",
            ),
            ({"a": entry(), "b": entry()}, "begins at byte 0"),
            ({"a": entry(), "b": entry(offsets=(9, 17))}, "begins at byte 9"),
            ({"a": entry(), "b": entry(offsets=(8, 16)), "c": entry(offsets=(16, 24))}, "end at byte 24 of 16"),
            ({"a": entry()}, "end at byte 8 of 16"),
            ({}, "end at byte 0 of 16"),
            ({"a": entry(shape=(10**30,), offsets=(0, 16))}, "claims shape (1000000000000000000000000000000,)"),
            ({"a": entry(shape=(2**40,), offsets=(0, 2**42))}, "end at byte 4398046511104 of 16"),
            ({"a": entry(offsets=(8, 0))}, "and has -8"),
            ({"a": entry(offsets=(-8, 0))}, "not lists of sizes"),
            ({"a": entry(shape=(-2, -1))}, "not lists of sizes"),
            ({"a": entry(shape=(2.0,))}, "not lists of sizes"),
            ({"a": entry(shape=(True, 2))}, "not lists of sizes"),
            ({"a": entry(offsets=(0, 8, 16))}, ""),
            ({"a": entry(offsets=())}, ""),
            ({"a": entry() | {"shape": "22"}}, "not lists of sizes"),
            ({"a": entry(dtype="F8_E4M3")}, "has the dtype 'F8_E4M3'"),
            ({"a": entry(dtype="O" * 900)}, "has the dtype 'OOO"),
            ({"a": entry(dtype=["F32"])}, ""),
            ({"a": {"dtype": "F32"}}, "is not described"),
            ({"a": [1, 2]}, "is not described"),
            ({"__metadata__": [1], "a": entry(shape=(4,), offsets=(0, 16))}, "__metadata__"),
            ([entry()], ""),
            ("text", "not a sound"),
        ],
    )
    def test_lying_headers(self, header, reason, tmp_path):
        data = {"x": np.zeros(2, np.float32), "y": np.zeros(2, np.float32)}
        refused(tmp_path, files.safetensors(data, header=header), reason, name="h.safetensors")

    @pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**32, 5 << 20, 41, 1, 0])
    def test_lengths(self, length, tmp_path):
        content = struct.pack("<Q", length) + b'{"a":1}'.ljust(40)
        refused(tmp_path, content, f"its header claims {length} bytes", name="h.safetensors")

    @pytest.mark.parametrize(
        "text",
        [
            b'{"a":{},"a":{}}',
            b'{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,0]}}',
            b"{" * 2000,
            b'{"a":' * 100_000,
            b'{"a":' + b"[" * 100_000,
            b'{"a":' + b"9" * 100_000 + b"}",
            b'{"\xff":1}',
            b'{"a":NaN}',
        ],
    )
    def test_texts(self, text, tmp_path):
        refused(tmp_path, struct.pack("<Q", len(text)) + text, name="h.safetensors")

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["F32", "BF16", "BOOL", ""]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        )
    )
    def test_any_header(self, tmp_path_factory, header):
        path = tmp_path_factory.getbasetemp() / "any.safetensors"
        path.write_bytes(files.safetensors({"x": np.zeros(2, np.float32)}, header=header))
        outcome(path)


# --- caffemodel -----------------------------------------------------------------------------------------------


def net(blob, kind="Convolution"):
    return files.layer("conv", [blob], "new", kind)


FIELDS = st.recursive(
    st.integers(0, 2**64 - 1) | st.binary(max_size=12),
    lambda inner: st.lists(st.tuples(st.sampled_from([1, 2, 4, 5, 6, 7, 8, 50, 100]), inner), max_size=4),
    max_leaves=12,
)


def message(value):
    """Nested lists of (number, value) as a message."""
    if isinstance(value, list):
        return b"".join(files.field(number, message(inner)) for number, inner in value)
    return value


class TestCaffemodel:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (
                net(files.field(5, bytes(12)) + files.field(7, files.field(1, files.varint(4)))),
                "claims shape (4,) and has 3",
            ),
            (net(files.field(5, bytes(12))), "claims no shape and has 3 numbers"),
            (net(files.field(5, bytes(13)) + files.field(7, files.field(1, b"\x03"))), "13 bytes hold no whole number"),
            (
                net(files.field(5, bytes(8)) + files.field(7, files.field(1, files.varint(-1) * 2))),
                "claims shape (-1, -1)",
            ),
            (net(b"".join(files.field(n, 2**62) for n in (1, 2, 3, 4))), "and has 0 numbers"),
            (net(files.field(7, files.field(1, files.varint(2**62)))), "and has 0 numbers"),
            (net(files.field(7, b"\x0a\xff\xff\xff\x7f")), "after its message"),
            (net(files.field(7, files.field(1, b"\x80" * 20))), "more than 64 bits"),
            (net(files.field(7, files.field(1, bytes(2000)))), "a name or a shape is none"),
            (net(files.field(5, bytes(4)) + files.field(8, bytes(8))), "both float and double"),
            (net(b"\x29" + bytes(8)), "have the wire type 1"),
            (net(files.blob(np.zeros(2))) * 2, "two layers are called conv"),
            (files.field(100, files.field(7, files.blob(np.zeros(2)))), "has no name"),
            (files.field(100, files.field(1, b"\xff\xfe")), "utf-8"),
            (files.field(100, files.field(1, b"n" * 2000)), "a name or a shape is none"),
            (files.field(1, b"a net"), "has no layers"),
            (files.layer("relu", []), "none of its 1 layers has weights"),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "after its message"),
            (b"\x0a" + b"\xff" * 30, "more than 64 bits"),
            (b"\x12\x03\x0b\x00\x00", "is no field"),
            (b"\x0a\x00\x07", "is no field"),
            (b"\x0a\x00\x00\x00", "is no field"),
            (b"\xa2", "in the middle of a number"),
        ],
    )
    def test_lying_messages(self, content, reason, tmp_path):
        refused(tmp_path, content, reason, name="w.caffemodel")

    def test_names_that_steer_terminals(self, tmp_path):
        (tmp_path / "w.caffemodel").write_bytes(files.layer("\x1b[2J", [files.blob(np.zeros(2))]) * 2)
        with pytest.raises(InputError, match=r"called \?\[2J"):
            weights.read(tmp_path / "w.caffemodel")

    def test_countless_fields(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protobuf, "MOST_FIELDS", 5000)
        refused(tmp_path, b"\x28\x01" * 6000, "more than 5000 fields", name="w.caffemodel")

    def test_countless_small_pieces_take_no_more_than_they_hold(self, tmp_path):
        """Packed numbers may come in pieces; each as an array of its own would take twenty times the file."""
        pieces = files.field(5, bytes(4)) * 20_000 + files.field(7, files.field(1, files.varint(20_000)))
        (tmp_path / "w.caffemodel").write_bytes(net(pieces))
        with memory_below(600_000):
            assert weights.read(tmp_path / "w.caffemodel")["conv.weight"].shape == (20_000,)

    @given(st.lists(st.tuples(st.sampled_from([1, 2, 100]), FIELDS), min_size=1, max_size=4))
    def test_any_message(self, tmp_path_factory, value):
        path = tmp_path_factory.getbasetemp() / "any.caffemodel"
        path.write_bytes(message(value))
        with np.errstate(all="ignore"):
            outcome(path)


def test_fuzzed_headers_of_npz(tmp_path):
    """JSON in an archive's `meta` that is no dict, or nests: the arrays are read all the same."""
    for text in (b"[1]", b"{", b"[" * 100_000, b"\xff", b'{"transform": 3, "extra": []}'):
        np.savez(tmp_path / "w.npz", w=np.ones(2), meta=np.frombuffer(text, np.uint8))
        assert list(weights.read(tmp_path / "w.npz")) == ["w"], text
    assert json.loads(b"[1]") == [1]


# --- shapes and values without end ------------------------------------------------------------------------------


class TestNothingIsEndless:
    """Files of a few KB to a few MB that once took over 25 s or gigabytes."""

    def test_a_value_whose_text_doubles_with_every_level(self, tmp_path):
        nested = b"\x80\x02)" + b"2\x86" * 60 + b"."
        magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
        refused(tmp_path, magic + nested, "its version is a tuple")
        refused(tmp_path, nested, "does not begin as torch.save begins")
        refused(tmp_path, magic + pickle.dumps(1001, 2) + nested, "big-endian")
        refused(tmp_path, files.torch_zip({}, data_pkl=nested), "holds a tuple")
        refused(tmp_path, files.torch_stream({}, program=nested), "holds a tuple")

    def test_a_long_text_copied_by_every_call(self, tmp_path):
        text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x00"
        call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
        with memory_below(40 << 20):
            refused(tmp_path, files.torch_zip({}, data_pkl=b"\x80\x02" + text + call * 200 + b"."), "longer than")

    @pytest.mark.parametrize("numbers", [["9" * 4000] * 1000, ["9"] * 200_000, ["1"] * 33, ["0"] * 33])
    def test_safetensors_of_many_axes(self, numbers, tmp_path):
        header = f'{{"a":{{"dtype":"F32","shape":[{",".join(numbers)}],"data_offsets":[0,16]}}}}'.encode()
        content = struct.pack("<Q", len(header)) + header + bytes(16)
        refused(tmp_path, content, f"{len(numbers)} axes", name="h.safetensors")

    def test_caffemodels_of_many_axes(self, tmp_path):
        for shape in (files.field(1, 2**62) * 190_000, files.field(1, 1) * 33, files.field(1, files.varint(1) * 33)):
            refused(tmp_path, net(files.field(7, shape)), "more than 32 axes", name="w.caffemodel")

    def test_runs_of_numbers_are_read_once(self, tmp_path, monkeypatch):
        """Tags in turn, so that each run has one number: the bytes that are read stay near those of the file."""
        data = (b"\x2d" + bytes(4) + b"\x35" + bytes(4)) * 2000
        path = tmp_path / "w.caffemodel"
        path.write_bytes(net(data))
        read = []

        class Counting(io.BytesIO):
            def read(self, count=-1):
                read.append(count)
                return super().read(count)

        reader = protobuf.Reader(Counting(data))
        assert len(list(reader.fields(reader.span))) == 4000
        assert sum(read) < 10 * len(data)
        refused(tmp_path, net(data), "claims no shape and has 2000 numbers", name="w.caffemodel")

    def test_json_beside_the_arrays(self, tmp_path):
        """More of it than MOST_JSON is not parsed: as lists it would take thirty times its size."""
        text = np.frombuffer(b"[" + b"[]," * (3 << 20) + b"1]", np.uint8)
        np.savez_compressed(tmp_path / "w.npz", w=np.ones(2), meta=text)
        with memory_below(100 << 20):
            assert list(weights.read(tmp_path / "w.npz")) == ["w"]
