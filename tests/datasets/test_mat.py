"""The reader of MATLAB files: files written by hand, by SciPy where it is installed, and by somebody who means harm."""

import contextlib
import struct
import tracemalloc
import zlib

import matfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import mat, read_mat, read_mat_labels

NUMBERS = np.arange(15).reshape(3, 5)


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "labels.mat"
        path.write_bytes(data)
        return path

    return write


def sample(order="<"):
    """A struct like SBD's, beside two arrays and a cell array."""
    fields = {
        "Boundaries": matfile.cells(order=order),
        "Segmentation": matfile.array(NUMBERS.astype("u1"), order=order),
        "CategoriesPresent": matfile.array(np.array([[2.0]]), order=order),
    }
    return (
        matfile.cells("names", order),
        matfile.structure(fields, "GTcls", order),
        matfile.array(NUMBERS.astype("f8"), "S", order),
        matfile.array(np.array([[7, 9]], "u2"), "LabelMap", order),
    )


# --- good files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_and_fields_are_found_wherever_they_stand(write, order, compress):
    path = write(matfile.file(*sample(order), order=order, compress=compress))
    np.testing.assert_array_equal(read_mat(path, "GTcls", "Segmentation"), NUMBERS)
    np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)
    np.testing.assert_array_equal(read_mat(path, "LabelMap"), [[7, 9]])


@pytest.mark.parametrize("code", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_type_of_number(write, code):
    values = np.array([[0, 1, 2], [100, 127, 3]], code)
    found = read_mat(write(matfile.file(matfile.array(values, "x"))), "x")
    assert found.dtype == np.dtype(code)
    np.testing.assert_array_equal(found, values)


def test_doubles_that_are_stored_as_bytes(write):
    """MATLAB stores numbers as narrowly as it can, whatever the class of the array."""
    path = write(matfile.file(matfile.array(NUMBERS.astype("u1"), "x", kind=matfile.CLASSES["f8"])))
    np.testing.assert_array_equal(read_mat(path, "x"), NUMBERS)


def test_logical_flags_are_of_no_concern(write):
    path = write(matfile.file(matfile.array(np.eye(3, dtype="u1"), "x", flags=0x0200)))
    np.testing.assert_array_equal(read_mat(path, "x"), np.eye(3))


@pytest.mark.parametrize("compress", [False, True])
def test_what_scipy_writes(write, tmp_path, compress):
    io = pytest.importorskip("scipy.io", reason="SciPy is not installed")
    sparse = pytest.importorskip("scipy.sparse")
    boundaries = np.empty((2, 1), object)
    boundaries[:, 0] = [sparse.csc_matrix(np.eye(3)), sparse.csc_matrix(np.zeros((2, 2)))]
    content = {
        "names": np.array(["sky", "tree"], object),
        "GTcls": {"Boundaries": boundaries, "Segmentation": NUMBERS.astype("u1"), "CategoriesPresent": [1.0, 2.0]},
        "S": NUMBERS.astype("f8") - 1,
        "text": "a line",
    }
    io.savemat(tmp_path / "scipy.mat", content, do_compression=compress)
    np.testing.assert_array_equal(read_mat(tmp_path / "scipy.mat", "GTcls", "Segmentation"), NUMBERS)
    np.testing.assert_array_equal(read_mat(tmp_path / "scipy.mat", "S"), NUMBERS - 1)


def test_scipy_reads_what_is_written_by_hand(write):
    """The hand-made writer of these tests writes the format, not just what this reader reads."""
    io = pytest.importorskip("scipy.io", reason="SciPy is not installed")
    for order in "<>":
        path = write(matfile.file(*sample(order)[1:], order=order, compress=order == "<"))
        found = io.loadmat(path)
        np.testing.assert_array_equal(found["GTcls"][0]["Segmentation"][0], NUMBERS)
        np.testing.assert_array_equal(found["S"], NUMBERS)


# --- what is not there, or not what is wanted -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (("T",), "holds no variable T; it holds names, GTcls, S, LabelMap"),
        (("names",), "holds no real numbers"),
        (("GTcls",), "holds no real numbers"),
        (("GTcls", "Segmentatio"), "no field Segmentatio; it has Boundaries, Segmentation, CategoriesPresent"),
        (("GTcls", "Boundaries"), "holds no real numbers"),
        (("S", "Segmentation"), "not a single struct with a field Segmentation"),
    ],
)
def test_what_is_missing_is_named(write, asked, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        read_mat(write(matfile.file(*sample(), compress=True)), *asked)
    assert "labels.mat" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "does not begin like a file of level 5"),
        (b"\x89PNG" * 100, "does not begin like a file of level 5"),
        (matfile.header(), "holds no variable x; it holds none"),
        (matfile.header(version=0x0200) + bytes(600), r"format 7\.3 \(HDF5\): save it with -v7"),
        (matfile.header() + b"abc", "cut short"),
        (matfile.file(matfile.array(NUMBERS.astype("f8"), "x", flags=0x0800)), "no real numbers"),
        (matfile.file(matfile.element(matfile.MATRIX, b"")), "of type 6 is missing"),
        (matfile.file(matfile.array(NUMBERS.astype("u1"), "\xff")), "cannot be read as a MATLAB file"),
        (matfile.file(matfile.structure({}, "x")), "no real numbers"),
    ],
)
def test_other_files_are_refused(write, data, complaint):
    with pytest.raises(InputError, match=complaint):
        read_mat(write(data), "x")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_mat(tmp_path / "no.mat", "x")
    with pytest.raises(InputError, match="cannot be read"):
        read_mat(tmp_path, "x")


# --- files that lie -------------------------------------------------------------------------------------------


def claiming(shape, data=b"\1\2\3\4", kind=matfile.UINT8):
    """An array x that says it has this shape."""
    stored = matfile.element(kind, data)
    return matfile.file(matfile.element(matfile.MATRIX, matfile.head(9, shape, "x") + stored))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (claiming((2**31 - 1, 2**31 - 1)), "does not fit into 4 bytes"),
        (claiming((2**31 - 1,) * 9), "does not fit into 4 bytes"),
        (claiming((-2, -2)), "has the shape"),
        (claiming((4,)), "has the shape"),
        (claiming((1, 3)), "does not fit into 4 bytes"),
        (claiming((2, 2), kind=99), "unknown type 99"),
        (claiming((2, 2), kind=matfile.DOUBLE), "does not fit into 4 bytes"),
        (matfile.header() + struct.pack("<II", matfile.MATRIX, 2**32 - 1) + bytes(64), "claims 4294967295 bytes"),
        (matfile.header() + struct.pack("<II", matfile.MATRIX | 60_000 << 16, 0) + bytes(64), "short element claims"),
        (matfile.file(matfile.structure({"a": b""}, "x", shape=(2**20, 2**11))), "not a single struct"),
        (matfile.file(matfile.structure({"a": b""}, "x", width=0)), "names of a struct"),
        (matfile.file(matfile.structure({"a": matfile.cells()}, "x", width=-8)), "names of a struct"),
        (matfile.file(matfile.structure({"Seg": b""}, "x")), "type 14 is missing"),
    ],
)
def test_sizes_that_lie_are_refused(write, data, complaint):
    with pytest.raises(InputError, match=complaint):
        read_mat(write(data), "x", "Seg" if b"Seg" in data else "a" if complaint[:5] in ("not a", "names") else None)


def bomb(megabytes):
    """An element that unpacks to so many megabytes of zeros, a thousandth of that packed."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    return struct.pack("<II", matfile.COMPRESSED, len(data)) + data


@pytest.mark.parametrize("elements", [[40], [3] * 13])
def test_a_file_unpacks_to_no_more_than_its_room(write, monkeypatch, elements):
    """Neither in one element nor bit by bit in many. (A smaller room than the real one: it is filled sooner.)"""
    assert mat.LARGEST == 64 * 2**20
    monkeypatch.setattr(mat, "LARGEST", 4 * 2**20)
    path = write(matfile.header() + b"".join(map(bomb, elements)))
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more than 4 MiB"):
            read_mat(path, "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * mat.LARGEST


def test_packed_data_without_their_checksum_are_refused(write):
    """All numbers are there, but not what says that they are right."""
    data = matfile.packed(matfile.array(NUMBERS, "x"))[8:-4]
    with pytest.raises(InputError, match="compressed data are cut short"):
        read_mat(write(matfile.header() + struct.pack("<II", matfile.COMPRESSED, len(data)) + data), "x")


def test_a_large_file_is_not_even_opened(tmp_path):
    path = tmp_path / "large.mat"
    with path.open("wb") as file:
        file.truncate(mat.LARGEST + 1)  # sparse: takes no room on disk
    with pytest.raises(InputError, match="larger than 64 MiB"):
        read_mat(path, "x")


@pytest.mark.parametrize("compress", [False, True])
def test_every_truncation_is_refused_or_harmless(write, compress):
    """A cut after the wanted variable does no harm; any other is a clear complaint."""
    whole = matfile.file(*sample()[1:3], compress=compress)
    refused = 0
    lengths = range(0, len(whole), 3)
    for length in lengths:
        path = write(whole[:length])
        try:
            np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)
        except InputError:
            refused += 1
    assert refused >= len(lengths) - 3


@given(st.data())
def test_flipped_bits_give_an_array_or_a_complaint(tmp_path_factory, data):
    """Whatever is damaged: InputError, or an array no larger than the file can hold. Nothing else, ever."""
    order = data.draw(st.sampled_from("<>"))
    whole = bytearray(matfile.file(*sample(order)[1:], order=order, compress=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.mat"
    path.write_bytes(whole)
    tracemalloc.start()
    try:
        for asked in (("GTcls", "Segmentation"), ("S",)):
            with contextlib.suppress(InputError):
                assert read_mat(path, *asked).size <= len(whole)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=400))
def test_noise_after_a_good_header(tmp_path_factory, noise):
    path = tmp_path_factory.getbasetemp() / "noise.mat"
    path.write_bytes(matfile.header() + noise)
    with pytest.raises(InputError):
        read_mat(path, "x")


# --- label maps -----------------------------------------------------------------------------------------------


def labels_of(write, values, **options):
    return read_mat_labels(write(matfile.file(matfile.array(values, "S"))), "S", 33, **options)


def test_files_that_count_from_one(write):
    """0 and -1 are void, whatever type they are stored in; 255, what 0 becomes in bytes, is void too."""
    np.testing.assert_array_equal(labels_of(write, np.array([[0, 1, 33]], "u1"), first=1), [[255, 0, 32]])
    np.testing.assert_array_equal(labels_of(write, np.array([[0.0, 1, 33]]), first=1), [[255, 0, 32]])
    signed = np.array([[-1, 0, 3]], "i2")
    np.testing.assert_array_equal(labels_of(write, signed, first=1, ignore=(-1,)), [[255, 255, 2]])
    np.testing.assert_array_equal(labels_of(write, np.array([[32, 255, 0]], "u1")), [[32, 255, 0]])


@pytest.mark.parametrize(
    ("values", "options", "complaint"),
    [
        (np.array([[34]], "u1"), {"first": 1}, r"labels\.mat \(its numbers minus 1\) contain the id 33 .*0\.\.32"),
        (np.array([[33]], "u1"), {}, r"labels\.mat contain the id 33 "),
        (np.array([[-1]], "i2"), {"first": 1}, "contain the id -2"),
        (np.array([[0.5, 1]]), {}, "not whole"),
        (np.array([[np.nan, 1]]), {}, "not whole"),
        (np.array([[np.inf, 1]]), {}, "not whole"),
        (np.array([[1e18, 1]]), {}, r"from 1 to 1e\+18, which are no class ids"),
        (np.array([[2**63]], "u8"), {}, "no class ids"),
        (np.zeros((2, 2, 2), "u1"), {}, r"has shape \(2, 2, 2\)"),
        (np.zeros((0, 3), "u1"), {}, r"has shape \(0, 3\)"),
    ],
)
def test_numbers_that_are_no_labels(write, values, options, complaint):
    with pytest.raises(InputError, match=complaint):
        labels_of(write, values, **options)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (claiming((2**31 - 1,) * 100_000), "not 1 to 32 integers"),
        (claiming((1,) * 33), "not 1 to 32 integers"),
        (matfile.file(matfile.array(NUMBERS, "y")) + matfile.array(NUMBERS, "z") * 10_001, "more than 10000 variables"),
        (matfile.file(matfile.array(NUMBERS, "n" * 2000)), "a name has 2000 characters"),
        (matfile.file(matfile.structure({"a" * 2**20: b""}, "x", width=1)), "names of a struct"),
    ],
    ids=["axes", "33 axes", "variables", "name", "fields"],
)
def test_nothing_is_counted_without_end(write, data, complaint):
    with pytest.raises(InputError, match=complaint):
        read_mat(write(data), "x", "Seg" if complaint.startswith("names") else None)


# --- objects and cells ----------------------------------------------------------------------------------------


def opaque(name, order="<", kind=b"string"):
    """A MATLAB string (class 17, an object): flags, name, kind of system, class, and a matrix; it has no sizes."""
    parts = matfile.element(matfile.UINT32, struct.pack(order + "II", 17, 0), order)
    for text in (name.encode(), b"MCOS", kind):
        parts += matfile.element(matfile.INT8, text, order)
    handle = matfile.array(np.array([[0xDD000000], [2], [1], [1], [1], [1]], np.uint32), "", order)
    return matfile.element(matfile.MATRIX, parts + handle, order)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compress", [False, True])
def test_strings_are_skipped(write, order, compress):
    """MATLAB's strings ("a") are objects, unlike its rows of characters ('a'). Their data are a nameless array."""
    more = matfile.array(np.zeros((1, 40), np.uint8), "", order)
    wanted = matfile.array(NUMBERS.astype("f8"), "S", order)
    fields = {"note": opaque("", order), "Segmentation": matfile.array(NUMBERS.astype("u1"), order=order)}
    variables = (
        opaque("when", order),
        wanted,
        matfile.structure(fields, "GTcls", order),
        opaque("t", order, b"table"),
        more,
    )
    path = write(matfile.file(*variables, order=order, compress=compress))
    np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)
    np.testing.assert_array_equal(read_mat(path, "GTcls", "Segmentation"), NUMBERS)
    with pytest.raises(InputError, match="the variable holds no real numbers"):
        read_mat(path, "when")
    with pytest.raises(InputError, match="holds no variable x; it holds when, S, GTcls, t"):
        read_mat(path, "x")


def test_rows_of_characters_are_skipped(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy writes the file")
    path = tmp_path / "labels.mat"
    fields = {"name": "2008_000002", "Segmentation": NUMBERS.astype("u1"), "words": np.array(["a", "bc"], object)}
    scipy_io.savemat(path, {"note": "drawn by hand", "GTcls": fields, "S": NUMBERS.astype("u1")})
    np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)
    np.testing.assert_array_equal(read_mat(path, "GTcls", "Segmentation"), NUMBERS)


def test_the_first_cell_stands_for_a_cell_array(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy writes the file")
    path = tmp_path / "labels.mat"
    truth = np.empty((1, 2), object)
    truth[0, 0], truth[0, 1] = {"SegmentationClass": NUMBERS}, {"SegmentationClass": NUMBERS + 1}
    empty = np.empty((0, 0), object)
    scipy_io.savemat(path, {"empty": empty, "groundTruth": truth, "S": np.eye(2)})
    np.testing.assert_array_equal(read_mat(path, "groundTruth", "SegmentationClass"), NUMBERS)
    with pytest.raises(InputError, match=r"the struct has no field Segmentation; it has SegmentationClass"):
        read_mat(path, "groundTruth", "Segmentation")
    with pytest.raises(InputError, match=r"cannot be read as a MATLAB file"):
        read_mat(path, "empty", "SegmentationClass")
