"""Weights from .npz files: what becomes of each array, and archives from strangers."""

import importlib.util
import io
import random
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import models, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights import npz


@pytest.fixture
def model():
    return models.build("mini_fcn8s", 6, width=2, seed=0)


@pytest.fixture
def state(model):
    """Other numbers than the model's, under its names."""
    rng = np.random.default_rng(5)
    return {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in model.params.items()}


@pytest.fixture
def file(tmp_path):
    """A function that writes bytes or arrays and returns the path."""

    def write(content, name="weights.npz"):
        path = tmp_path / name
        if isinstance(content, dict):
            np.savez(path, **content)
        else:
            path.write_bytes(content)
        return path

    return write


def npy(header, data=b"", version=(1, 0)):
    """An .npy member whose header is the given text."""
    header = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(header)) + header + data


def described(descr="<f4", shape=(2,), order=False):
    return repr({"descr": descr, "fortran_order": order, "shape": shape})


LZMA = [zipfile.ZIP_LZMA] if importlib.util.find_spec("lzma") else []  # Python may come without it


def archive(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


class TestRead:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_what_numpy_wrote(self, tmp_path, save, rng):
        arrays = {
            "conv1_1.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
            "half": rng.standard_normal(7).astype(np.float16),
            "double": rng.standard_normal((2, 5)),
            "big_endian": rng.standard_normal(3).astype(">f8"),
            "columns": np.asfortranarray(rng.standard_normal((4, 6))),
            "bytes": rng.integers(256, size=9, dtype=np.uint8),
            "signed": rng.integers(-9, 9, size=(2, 2)),
            "flags": np.array([True, False]),
            "scalar": np.float32(2.5),
            "empty": np.zeros((3, 0)),
            "long": rng.standard_normal(600_000),  # more than is read at once
        }
        save(tmp_path / "a.npz", **arrays)
        read = npz.read_npz(tmp_path / "a.npz")
        assert list(read) == list(arrays)
        for name, array in arrays.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape), name
            np.testing.assert_array_equal(read[name], array, name)
            assert read[name].flags.writeable

    def test_a_long_header_of_version_2(self, file):
        path = file(archive({"w.npy": npy(described(), np.float32([1, 2]).tobytes(), (2, 0))}))
        assert npz.read_npz(path)["w"].tolist() == [1, 2]

    def test_an_archive_without_arrays(self, file):
        assert npz.read_npz(file(archive({}))) == {}

    def test_read_gives_a_checkpoints_parameters(self, file):
        arrays = {"model/fc6.weight": np.ones(2), "velocity/fc6.weight": np.zeros(2), "losses": np.zeros(3)}
        read = weights.read(file(arrays))
        assert list(read) == ["fc6.weight"]
        assert read["fc6.weight"].tolist() == [1, 1]

    def test_read_gives_all_of_a_plain_archive(self, file):
        assert list(weights.read(file({"a": np.ones(2), "b/c": np.zeros(1)}))) == ["a", "b/c"]


class TestLoad:
    def test_every_value_unchanged(self, model, state, file):
        report = weights.load(model, file(state))
        assert (report.used, report.missing, report.unused) == (list(state), [], [])
        for name, w in model.params.items():
            np.testing.assert_array_equal(w, state[name], name)
            assert w.dtype == np.float32

    def test_missing_and_unused_are_named(self, model, state, file):
        before = {name: w.copy() for name, w in model.params.items()}
        for name in ("fc7.weight", "score_pool3.bias"):
            del state[name]
        state |= {"fc8.weight": np.zeros((10, 16)), "lr": np.float64(0.1)}
        report = weights.load(model, file(state))
        assert report.missing == ["fc7.weight", "score_pool3.bias"]
        assert report.unused == ["fc8.weight", "lr"]
        assert set(report.used) == set(before) - set(report.missing)
        for name, w in model.params.items():
            np.testing.assert_array_equal(w, before[name] if name in report.missing else state[name], name)
        assert str(report) == "18 parameters loaded; missing: fc7.weight, score_pool3.bias; unused: fc8.weight, lr"

    def test_fully_connected_weights_are_reshaped(self, model, state, file):
        """fc6 lists its inputs channel by channel, row by row: feature 9c + 3y + x reads channel c at (y, x)."""
        fc6 = np.arange(16 * 144, dtype=np.float32).reshape(16, 144)
        report = weights.load(model, file(state | {"fc6.weight": fc6, "fc7.weight": state["fc7.weight"][:, :, 0, 0]}))
        assert {"fc6.weight", "fc7.weight"} <= set(report.used)
        weight = model.params["fc6.weight"]
        for f, c, y, x in [(0, 0, 0, 0), (0, 0, 0, 2), (1, 0, 1, 0), (5, 7, 2, 1), (15, 15, 2, 2)]:
            assert weight[f, c, y, x] == 144 * f + 9 * c + 3 * y + x
        np.testing.assert_array_equal(model.params["fc7.weight"], state["fc7.weight"])

    def test_other_numbers_become_the_models(self, model, file):
        report = weights.load(model, file({"score_fr.bias": np.arange(6), "fc7.bias": np.full(16, 0.1)}))
        assert report.used == ["score_fr.bias", "fc7.bias"]
        assert model.params["score_fr.bias"].tolist() == [0, 1, 2, 3, 4, 5]
        assert (model.params["fc7.bias"] == np.float32(0.1)).all()
        assert model.params["fc7.bias"].dtype == np.float32

    def test_a_32s_checkpoint_for_a_16s(self, file):
        old = models.build("mini_fcn32s", 6, width=2, seed=1)
        new = models.build("mini_fcn16s", 6, width=2, seed=2)
        report = weights.load(new, file({f"model/{name}": w for name, w in old.params.items()}))
        assert (report.missing, report.unused) == (["score_pool4.weight", "score_pool4.bias"], [])
        np.testing.assert_array_equal(new.params["fc6.weight"], old.params["fc6.weight"])

    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("score_fr.weight", (21, 16, 1, 1)),  # other classes
            ("conv1_1.weight", (4, 3, 3, 3)),  # another width
            ("fc6.weight", (144, 16)),  # the transpose of a fully connected weight
            ("fc6.weight", (16, 144, 1, 1)),
            ("conv2_1.weight", (3, 3, 2, 4)),  # the same numbers, stored rows, columns, inputs, outputs
            ("conv1_1.weight", (3, 2, 3, 3)),
            ("conv1_1.weight", (54,)),
            ("conv1_1.bias", (2, 1)),
            ("conv1_1.bias", ()),
        ],
    )
    def test_a_wrong_shape(self, model, state, file, name, shape):
        before = {key: w.copy() for key, w in model.params.items()}
        right = str(model.params[name].shape)
        with refuses("weights.npz", name, f"has shape {shape}", f"the model's has {right}"):
            weights.load(model, file(state | {name: np.ones(shape, np.float32)}))
        for key, w in model.params.items():
            np.testing.assert_array_equal(w, before[key], "nothing is loaded then")

    @pytest.mark.parametrize(
        ("arrays", "text"),
        [
            ({"w_0": np.zeros(2), "b": np.zeros(1)}, "none of its 2 arrays"),
            ({}, "none of its 0 arrays"),
        ],
    )
    def test_no_name_in_common(self, model, file, arrays, text):
        found = ", ".join(arrays) or "nothing"
        with refuses("weights.npz", text, "conv1_1.weight, conv1_1.bias", f"the file {found}"):
            weights.load(model, file(arrays))


# --- hostile files --------------------------------------------------------------------------------------------


def small_archive(save):
    """A small file as NumPy writes it: its arrays and its bytes."""
    rng = np.random.default_rng(3)
    arrays = {
        "conv1_1.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv1_1.bias": np.zeros(4, np.float32),
        "meta": np.frombuffer(b'{"format": 1, "model": "mini_fcn8s"}', np.uint8),
    }
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return arrays, buffer.getvalue()


def outcome(path):
    """The arrays of a file, or None when it was refused as it should be: by an InputError that names it."""
    try:
        return npz.read_npz(path)
    except InputError as error:
        message = str(error)
    assert str(path) in message
    assert len(message) < 1000, "a sentence, whatever the file holds"
    return None


class TestHostile:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_cut_short_anywhere(self, file, save):
        _, content = small_archive(save)
        for length in [*range(0, len(content), 47), len(content) - 1]:
            with refuses("weights.npz: not a sound .npz archive"):
                npz.read_npz(file(content[:length]))

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_any_flipped_bit_is_noticed_or_harmless(self, file, save):
        """What is read in spite of it is what was written: every array has a checksum."""
        arrays, content = small_archive(save)
        dice, refused = random.Random(1), 0
        for _ in range(600):
            damaged = bytearray(content)
            damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            read = outcome(file(damaged))
            refused += read is None
            if read is not None:
                assert read.keys() <= arrays.keys()
                for name in read:
                    np.testing.assert_array_equal(read[name], arrays[name])
        assert refused > 300

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_mangled_bytes(self, file, save):
        """Several bytes at once, runs that are cut out or doubled: refused, and by nothing else than InputError."""
        _, content = small_archive(save)
        dice, refused = random.Random(2), 0
        for _ in range(600):
            damaged = bytearray(content)
            place, length = dice.randrange(len(content)), dice.randrange(1, 40)
            kind = dice.randrange(4)
            if kind == 0:
                del damaged[place : place + length]
            elif kind == 1:
                damaged[place:place] = damaged[place : place + length]
            elif kind == 2:
                damaged[place : place + length] = bytes([dice.choice([0, 255])]) * len(damaged[place : place + length])
            else:
                for _ in range(length):
                    damaged[dice.randrange(len(content))] = dice.randrange(256)
            refused += outcome(file(damaged)) is None
        assert refused > 400

    def test_damage_with_sound_checksums(self, file):
        """Headers of arrays mangled before they are packed, so that no checksum tells."""
        good = io.BytesIO()
        np.lib.format.write_array(good, np.arange(6, dtype=np.float32).reshape(2, 3))
        dice, refused = random.Random(3), 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's and Python's, about what the header happens to say
            for _ in range(600):
                damaged = bytearray(good.getvalue())
                for _ in range(dice.randrange(1, 4)):
                    damaged[dice.randrange(128)] = dice.choice(b"\0\xff()[]{}':,<>fiub0123456789 \n\\L-OV|x")
                read = outcome(file(archive({"w.npy": bytes(damaged)})))
                refused += read is None
                if read is not None:
                    assert read["w"].nbytes == 24
        assert 300 < refused < 600

    @pytest.mark.parametrize(
        ("member", "reason"),
        [
            (npy(described(shape=(10**12,)), b"12345678"), "claims shape (1000000000000,) of float32"),
            (npy(described(shape=(10**30,)), b"12345678"), "claims shape"),
            (npy(described(shape=(1,)), b"12345678"), "claims shape (1,) of float32, 4 bytes, and has 8"),
            (npy(described(shape=(3,)), b"12345678"), "claims shape (3,) of float32, 12 bytes, and has 8"),
            (npy(described(shape=(-2, -1)), b"12345678"), "has the shape (-2, -1)"),
            (npy(described(shape=(0, 10**30))), ""),
            (npy(described(shape=(0,) * 99)), ""),
            (npy(described(shape=2)), ""),
            (npy(described(shape=("2",))), ""),
            (npy(described(shape=(2.0,))), ""),
            (npy(described("|O"), b"12345678"), "holds object, not numbers"),
            (npy(described("<U1"), b"12345678"), "holds <U1, not numbers"),
            (npy(described("|S4"), b"12345678"), "not numbers"),
            (npy(described("<c8"), b"12345678" * 2), "holds complex64, not numbers"),
            (npy(described("<M8[s]"), b"12345678" * 2), "not numbers"),
            (npy(described([("a", "<f4")]), b"12345678"), "not numbers"),
            (npy(described("nonsense"), b"12345678"), ""),
            (npy("-" * 9000 + "1"), "has a header that cannot be parsed"),
            (npy("(" * 9000), ""),
            (npy("[" * 150 + "]" * 150), ""),
            (npy(f"{{'descr': {'-' * 9000}1}}"), "has a header that cannot be parsed"),
            (npy(described(shape=(10,)).replace("10", "9" * 5000)), ""),
            (npy(described() + " " * 20_000), ""),
            (npy("__import__('os').system('true')"), ""),
            (npy("{}"), ""),
            (npy(described(), b"12345678", (3, 0)), "has the unknown format version (3, 0)"),
            (npy(described(), b"12345678", (9, 9)), "version"),
            (npy(described())[:20], ""),
            (b"\x93NUMPY\x01", ""),
            (b"\x80\x04cos\nsystem\n.", ""),
            (b"", ""),
        ],
        ids=lambda value: value[:30] if isinstance(value, str) else "",
    )
    def test_lying_headers(self, file, member, reason):
        path = file(archive({"w.npy": member}))
        with refuses(str(path), "not a sound .npz archive", reason):
            npz.read_npz(path)

    def test_pickled_objects(self, tmp_path):
        """What would run a program when it is unpickled is not unpickled."""

        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("sprung").touch, ())

        array = np.empty(1, object)
        array[0] = Trap()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.savez(tmp_path / "trap.npz", weight=array)
        with refuses("trap.npz", "weight.npy holds object, not numbers"):
            npz.read_npz(tmp_path / "trap.npz")
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "not a sound .npz archive"),
            (b"PK\x05\x06", "not a sound .npz archive"),
            (b"conv1_1.weight 0.1 0.2 0.3\n" * 50, "not a zip file"),
            (b"\x80\x02}q\x00.", "not a zip file"),
            (npy(described(), b"12345678"), "not a zip file"),
            (archive({"readme.txt": b"hello"}), "it holds 'readme.txt', which is not an array"),
            (archive({"data.pkl": b"\x80\x02."}), "it holds 'data.pkl', which is not an array"),
            *((archive({"w.npy": npy(described(), b"12345678")}, method), "packed by method 14") for method in LZMA),
            (archive({"w.npy": npy(described(), b"12345678")}, zipfile.ZIP_BZIP2), "packed by method 12"),
        ],
    )
    def test_other_kinds_of_file(self, file, content, reason):
        with refuses("weights.npz", reason):
            npz.read_npz(file(content))

    def test_what_cannot_be_opened(self, tmp_path):
        with pytest.raises(IsADirectoryError):
            npz.read_npz(tmp_path)
        with pytest.raises(FileNotFoundError):
            npz.read_npz(tmp_path / "absent.npz")
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError):
            npz.read_npz(tmp_path / "file" / "absent.npz")

    def test_encrypted(self, file):
        content = bytearray(archive({"w.npy": npy(described(), b"12345678")}))
        for place in (6, content.index(b"PK\x01\x02") + 8):  # both headers say so
            content[place] |= 1
        with refuses("weights.npz", "password"):
            npz.read_npz(file(content))


def peak(path):
    """The most bytes that reading took, and whether the file was refused."""
    tracemalloc.start()
    try:
        refused = outcome(path) is None
        return tracemalloc.get_traced_memory()[1], refused
    finally:
        tracemalloc.stop()


class TestMemory:
    def test_a_bomb(self, file):
        """Zeros pack a thousandfold: 300 MB in 300 KB."""
        size = 300 << 20
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        head = npy(described("|u1", (size,)))
        check, packed = zlib.crc32(head), [packer.compress(head)]
        for _ in range(300):
            check = zlib.crc32(bytes(1 << 20), check)
            packed.append(packer.compress(bytes(1 << 20)))
        data, total = b"".join([*packed, packer.flush()]), len(head) + size
        path = file(packed_member(data, check, total))
        assert path.stat().st_size < 1 << 20
        most, refused = peak(path)
        assert refused
        assert most < 10 << 20

        # the same, with a directory that admits to 1000 bytes only
        most, refused = peak(file(packed_member(data, check, 1000)))
        assert refused
        assert most < 10 << 20

    def test_many_small_bombs(self, file):
        """Each is below the limit, all of them are not."""
        member = npy(described("|u1", (8 << 20,)), bytes(8 << 20))
        path = file(archive({f"w{i}.npy": member for i in range(9)}, zipfile.ZIP_DEFLATED))
        most, refused = peak(path)
        assert refused
        assert most < 10 << 20

    def test_zeros_of_an_honest_size(self, file):
        """Below the limit nothing is judged, and a member is in memory once."""
        size = 60 << 20
        path = file(archive({"w.npy": npy(described("|u1", (size,)), bytes(size))}, zipfile.ZIP_DEFLATED))
        most, refused = peak(path)
        assert not refused
        assert size <= most < size + (16 << 20)

    def test_a_directory_that_claims_too_much(self, file):
        """The size in the directory is a claim as well: 60 MB of an array that ends after 8 bytes."""
        content = bytearray(archive({"w.npy": npy(described("|u1", (60 << 20,)), b"12345678")}))
        claimed = struct.pack("<I", len(npy(described("|u1", (60 << 20,)))) + (60 << 20))
        for place in (22, content.index(b"PK\x01\x02") + 24):
            content[place : place + 4] = claimed
        most, refused = peak(file(content))
        assert refused
        assert most < 80 << 20


def packed_member(data, check, size):
    """An archive of one deflated member w.npy that claims the given checksum and size."""
    name = b"w.npy"
    sizes = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, check, len(data), size, len(name), 0)
    local = b"PK\x03\x04" + sizes + name + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + sizes + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
