"""Caffe's files: the three forms of .caffemodel, and the meaning of an old blob's four sizes."""

import numpy as np
import pytest
import weight_files as files

from fcn_from_scratch import weights
from fcn_from_scratch.weights.caffemodel import read_caffemodel


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "w.caffemodel").write_bytes(content)
        return read_caffemodel(tmp_path / "w.caffemodel")

    return read


@pytest.mark.parametrize(("form", "label"), [("new", "layer"), ("v1", "layers, V1"), ("v0", "layers, V0")])
def test_the_form_is_told(read, form, label):
    assert read(files.caffemodel({"a.weight": np.ones((1, 2))}, form))[1] == label


@pytest.mark.parametrize(
    ("form", "kind", "old", "expected"),
    [
        ("v1", 14, (1, 1, 10, 7), (10, 7)),  # InnerProduct
        ("v1", 14, (1, 1, 1, 7), (1, 7)),  # of one output
        ("v1", 4, (10, 3, 5, 5), (10, 3, 5, 5)),  # Convolution
        ("v1", 4, (1, 3, 5, 5), (1, 3, 5, 5)),  # of one output
        ("v1", 4, (1, 1, 5, 5), (1, 1, 5, 5)),  # of one input too
        ("v1", 4, (1, 1, 1, 1), (1, 1, 1, 1)),
        ("v1", 39, (1, 1, 4, 4), (1, 1, 4, 4)),  # Deconvolution
        ("v1", None, (1, 1, 10, 7), (10, 7)),  # of unknown type
        ("v1", None, (1, 3, 5, 5), (1, 3, 5, 5)),
        ("v1", None, (1, 1, 1, 7), (7,)),
        ("v0", "innerproduct", (1, 1, 1, 7), (1, 7)),
        ("v0", "conv", (1, 1, 5, 5), (1, 1, 5, 5)),
        ("new", "InnerProduct", (1, 1, 1, 7), (1, 7)),  # upgraded by hand
        ("new", "Convolution", (1, 1, 3, 3), (1, 1, 3, 3)),
        ("new", "Deconvolution", (1, 1, 4, 4), (1, 1, 4, 4)),
        ("new", "Scale", (1, 1, 1, 7), (7,)),
    ],
)
def test_old_sizes(read, form, kind, old, expected, rng):
    """A weight of four sizes keeps them if its layer is a convolution; a bias is always a row."""
    weight = rng.standard_normal(old).astype(np.float32)
    bias = np.float32([3.5])
    blobs = [files.blob(weight, old_shape=True), files.blob(bias, old_shape=True)]
    arrays, _ = read(files.layer("part", blobs, form, kind))
    assert (arrays["part.weight"].shape, arrays["part.bias"].shape) == (expected, (1,))
    np.testing.assert_array_equal(arrays["part.weight"].ravel(), weight.ravel())


def test_new_sizes_are_taken_as_they_are(read):
    arrays, _ = read(files.layer("part", [files.blob(np.ones((1, 1, 1, 7)))], "new", "InnerProduct"))
    assert arrays["part.weight"].shape == (1, 1, 1, 7)


def test_blobs_beyond_the_bias_are_numbered(read):
    blobs = [files.blob(np.full(n, n)) for n in (1, 2, 3)]
    arrays, _ = read(files.layer("norm", blobs, "new", "BatchNorm"))
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "norm.weight": [1],
        "norm.bias": [2, 2],
        "norm.2": [3, 3, 3],
    }


def test_pieces_come_one_after_the_other(read):
    """Packed in two rows, and single numbers between them: protocol buffers allow it."""
    row = np.arange(7, dtype=np.float32)
    data = files.field(5, row[:2].tobytes()) + b"\x2d" + row[2:3].tobytes() + b"\x2d" + row[3:4].tobytes()
    data += files.field(7, files.field(1, files.varint(7))) + files.field(5, row[4:].tobytes())
    assert read(files.layer("a", [data]))[0]["a.weight"].tolist() == list(range(7))


def test_a_dim_a_field(read):
    """A shape that is not packed."""
    shape = files.field(1, 2) + files.field(1, 3)
    blob = files.field(5, np.arange(6, dtype=np.float32).tobytes()) + files.field(7, shape)
    assert read(files.layer("a", [blob]))[0]["a.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_number_without_sizes_has_none(read):
    blob = files.field(5, np.float32([2.5]).tobytes())
    assert read(files.layer("a", [blob + files.field(7, b"")]))[0]["a.weight"].shape == ()


def test_gradients_and_unknown_fields_are_skipped(read):
    blob = files.blob(np.float32([1, 2]))
    blob += files.field(6, np.float32([9, 9]).tobytes()) + files.field(99, b"\xff\xff") + files.field(200, 7)
    unknown = files.field(77, b"\x08\xff") + b"\x4d\x00\x00\x00\x00" + b"\x49" + bytes(8) + b"\x85\x08" + bytes(4)
    content = unknown + files.layer("a", [blob]) + unknown
    assert read(content)[0]["a.weight"].tolist() == [1, 2]


def test_forms_may_be_mixed_and_empty_layers_repeat(read):
    content = b"".join(files.layer("data", [], form) for form in ("new", "v1", "v1"))
    content += files.layer("a", [files.blob(np.ones(2))], "v1", None) + files.layer("b", [files.blob(np.ones(3))])
    assert list(read(content)[0]) == ["a.weight", "b.weight"]


def test_numbers_can_be_written_to(read, tmp_path):
    for packed in (True, False):
        array = read(files.caffemodel({"a.weight": np.ones((2, 3))}, packed=packed))[0]["a.weight"]
        array += 1
        assert array.flags.aligned
    assert weights.read(tmp_path / "w.caffemodel")["a.weight"].max() == 1
