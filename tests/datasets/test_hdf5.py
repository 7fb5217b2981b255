"""MATLAB files of level 7.3, which are HDF5: numbers are read, and everything that leads elsewhere is refused."""

import os
import sys
from contextlib import suppress

import matfile
import numpy as np
import pytest
import trees

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import SBD, PascalContext, SIFTFlow, hdf5, read_mat

NUMBERS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture(scope="module")
def h5py():
    return pytest.importorskip("h5py", reason="h5py writes HDF5 files")


@pytest.fixture
def file(tmp_path, h5py):
    """A function that writes a file as MATLAB does: fill(h5py.File) makes its contents. Returns: the path."""

    def make(fill, path=tmp_path / "a.mat"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", userblock_size=512) as opened:
            fill(opened)
        with open(path, "r+b") as opened:
            opened.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
        return path

    return make


def matrix(group, name, values, kind=None):
    """A matrix as MATLAB stores it: its columns are HDF5's rows."""
    stored = group.create_dataset(name, data=np.asarray(values).T)
    stored.attrs["MATLAB_class"] = np.bytes_(
        kind or {"uint8": "uint8", "uint16": "uint16"}.get(values.dtype.name, "double")
    )
    return stored


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_an_array_has_matlabs_rows_and_columns(file, dtype):
    path = file(lambda f: matrix(f, "S", NUMBERS.astype(dtype)))
    found = read_mat(path, "S")
    np.testing.assert_array_equal(found, NUMBERS)
    assert found.dtype == dtype


def test_a_field_of_a_struct_and_of_a_struct_in_a_cell(file, h5py):
    def fill(f):
        struct = f.create_group("GTcls")
        matrix(struct, "Segmentation", NUMBERS)
        inner = f.create_group("#refs#/a")
        matrix(inner, "SegmentationClass", NUMBERS + np.uint8(1))
        cell = f.create_dataset("groundTruth", (1, 1), dtype=h5py.ref_dtype)
        cell[0, 0] = inner.ref

    path = file(fill)
    np.testing.assert_array_equal(read_mat(path, "GTcls", "Segmentation"), NUMBERS)
    np.testing.assert_array_equal(read_mat(path, "groundTruth", "SegmentationClass"), NUMBERS + 1)
    with pytest.raises(InputError, match=r"no variable Boundaries in /GTcls; it holds Segmentation"):
        read_mat(path, "GTcls", "Boundaries")
    with pytest.raises(InputError, match=r"no variable other; it holds GTcls, groundTruth$"):
        read_mat(path, "other")


def test_strings_are_stepped_over(file):
    def fill(f):
        matrix(f, "A", np.array([[104, 105]], np.uint16), "char")
        matrix(f, "S", NUMBERS)

    path = file(fill)
    np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)
    with pytest.raises(InputError, match=r"A is a MATLAB char, not an array of numbers"):
        read_mat(path, "A")


class TestReaders:
    """Each reader of .mat files, beside the same numbers at level 5."""

    def test_sbd(self, tmp_path, rng, file):
        folder, labels = trees.sbd(tmp_path, rng, train=["a"])
        file(lambda f: matrix(f.create_group("GTcls"), "Segmentation", labels["a"]), folder / "cls/a.mat")
        np.testing.assert_array_equal(SBD(tmp_path)[0].labels, labels["a"])

    def test_siftflow(self, tmp_path, rng, file):
        folder, written = trees.siftflow(tmp_path, rng, test=["b"], others=["a"])
        before = SIFTFlow(tmp_path)[0].labels
        for kind, numbers in zip(("SemanticLabels", "GeoLabels"), written["a"]):
            file(lambda f, numbers=numbers: matrix(f, "S", numbers), folder / kind / trees.SCENES / "a.mat")
        np.testing.assert_array_equal(SIFTFlow(tmp_path)[0].labels, before)

    def test_pascalcontext(self, tmp_path, rng, file):
        folder, written = trees.pascalcontext(tmp_path, rng, train=["a"])
        before = PascalContext(tmp_path)[0].labels
        file(lambda f: matrix(f, "LabelMap", written["a"]), folder / "trainval/a.mat")
        np.testing.assert_array_equal(PascalContext(tmp_path)[0].labels, before)


def test_without_h5py_it_is_asked_for(file, monkeypatch):
    path = file(lambda f: matrix(f, "S", NUMBERS))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"a\.mat is an HDF5 file \(MATLAB's level 7\.3\): install h5py to read it"):
        read_mat(path, "S")


# --- files that lie -----------------------------------------------------------------------------------------------


def secret(tmp_path, h5py):
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as f:
        f["S"] = NUMBERS
    return path


def test_links_are_not_followed(file, tmp_path, h5py):
    path = secret(tmp_path, h5py)
    for link in (h5py.ExternalLink(str(path), "/S"), h5py.SoftLink("/T"), h5py.SoftLink("/none")):

        def fill(f, link=link):
            matrix(f, "T", NUMBERS)
            f["S"] = link

        with pytest.raises(InputError, match=r"S is a link to another place, which is not followed"):
            read_mat(file(fill), "S")


def test_numbers_in_other_files_are_not_read(file, tmp_path, h5py):
    path = secret(tmp_path, h5py)

    def virtual(f):
        layout = h5py.VirtualLayout((3, 4), "u1")
        layout[:] = h5py.VirtualSource(str(path), "S", (3, 4))
        f.create_virtual_dataset("S", layout)

    def external(f):
        f.create_dataset("S", (3, 4), "u1", external=[(str(path), 0, 12)])

    def cell(f):
        f.create_dataset("S", (1, 1), h5py.ref_dtype, external=[(str(path), 0, 8)])

    for fill, field in ((virtual, None), (external, None), (external, "x"), (cell, "x")):
        with pytest.raises(
            InputError, match=r"lie in other files|in other files, which are not|is not a single struct"
        ):
            read_mat(file(fill), "S", field)


@pytest.mark.parametrize("dtype", ["complex128", "S5", "vlen", "compound", "reference", "array"])
def test_only_plain_numbers_are_read(file, h5py, dtype):
    dtypes = {
        "vlen": h5py.vlen_dtype(np.int32),
        "compound": np.dtype([("a", "i4"), ("b", "f8")]),
        "reference": h5py.ref_dtype,
        "array": np.dtype("(3,)i4"),
    }
    path = file(lambda f: f.create_dataset("S", (2, 2), dtypes.get(dtype, dtype)))
    with pytest.raises(InputError, match=r"S holds no numbers"):
        read_mat(path, "S")


def test_a_group_or_a_type_is_no_array(file):
    def fill(f):
        f.create_group("G")
        f["T"] = np.dtype("i4")

    path = file(fill)
    for name, kind in (("G", "group"), ("T", "datatype")):
        with pytest.raises(InputError, match=rf"{name} is a {kind}, not an array"):
            read_mat(path, name)


def test_an_array_without_a_shape_is_refused(file, h5py):
    path = file(lambda f: f.create_dataset("S", data=h5py.Empty("u1")))
    with pytest.raises(InputError, match=r"S holds no numbers"):
        read_mat(path, "S")


@pytest.mark.parametrize(
    ("shape", "chunks", "complaint"),
    [
        ((2**20, 2**20), (2**10, 2**10), r"has 1048576 MiB, more than 64 MiB at once"),
        ((4, 2**40), (1, 2**20), r"more than 64 MiB at once"),
        ((3, 3), None, None),
        ((2**14, 2**14), (2**14, 2**13), r"stored in pieces of more than 64 MiB"),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(file, shape, chunks, complaint):
    """A file of a few kilobytes may claim an array of any size: numbers that were never written are zeros."""
    path = file(lambda f: f.create_dataset("S", shape, "u1", chunks=chunks))
    assert os.path.getsize(path) < 20_000
    if complaint is None:
        assert read_mat(path, "S").shape == shape
        return
    with pytest.raises(InputError, match=complaint):
        read_mat(path, "S")


def test_other_filters_are_refused(file):
    path = file(lambda f: f.create_dataset("S", data=NUMBERS, chunks=(3, 4), compression="lzf"))
    with pytest.raises(InputError, match=r"packed with a filter that is not one of gzip, shuffle, fletcher32"):
        read_mat(path, "S")
    for options in ({"compression": "gzip", "shuffle": True}, {"fletcher32": True}):
        path = file(lambda f, options=options: f.create_dataset("S", data=NUMBERS.T, chunks=(4, 3), **options))
        np.testing.assert_array_equal(read_mat(path, "S"), NUMBERS)


def test_damaged_files_end_in_a_sentence_or_in_numbers(file, tmp_path):
    data = file(lambda f: matrix(f, "S", NUMBERS)).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(40):
        worse = bytearray(data[: rng.integers(520, len(data))] if number % 2 else data)
        for place in rng.integers(512, len(worse), size=8):
            worse[place] = rng.integers(256)
        path = tmp_path / "worse.mat"
        path.write_bytes(worse)
        with suppress(InputError):  # any other error ends the test
            read_mat(path, "S")


def test_a_file_of_level_73_without_hdf5_is_damaged(tmp_path):
    (tmp_path / "a.mat").write_bytes(matfile.header(version=0x0200) + bytes(600))
    with pytest.raises(InputError, match=r"a\.mat cannot be read as a MATLAB file: it is of format 7\.3"):
        read_mat(tmp_path / "a.mat", "S")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.mat")
    with pytest.raises(InputError, match="FIFO"), hdf5.opened(tmp_path / "a.mat"):
        pass
    with pytest.raises(InputError, match="FIFO"):
        read_mat(tmp_path / "a.mat", "S")
