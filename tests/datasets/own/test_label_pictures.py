"""Label pictures and arrays: the stored numbers come out, whatever Pillow would show."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from tiffs import packed, tiff

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import read_labels
from fcn_from_scratch.datasets.own.label_files import reader
from fcn_from_scratch.datasets.own.npy import read_npy


def read(path):
    return reader(path)(path, None, None)


def page(ids, bits, **more):
    return {"width": len(ids[0]), "height": len(ids), "bits": bits, "data": packed(ids, bits), **more}


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [0, 1], ids=["0 is white", "0 is black"])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("order", "<>")
def test_a_tiff_of_few_bits_gives_its_stored_ids(tmp_path, bits, colour, order):
    ids = np.random.default_rng(bits).integers(2**bits, size=(5, 11))
    (tmp_path / "x.tif").write_bytes(tiff([page(ids.tolist(), bits, colour=colour)], order))
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, ids)
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), ids)


@pytest.mark.parametrize("colour", [0, 1], ids=["0 is white", "0 is black"])
def test_one_bit_is_read_as_it_is_shown(tmp_path, colour):
    """White is 1, in whichever way the file stores it: a picture of one bit shows a mask."""
    shown = np.random.default_rng(0).integers(2, size=(5, 11))
    stored = shown if colour else 1 - shown
    (tmp_path / "x.tif").write_bytes(tiff([page(stored.tolist(), 1, colour=colour)]))
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, shown)


@pytest.mark.parametrize("most", [1, 2, 20, 254, 255, 300, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_a_pgm_gives_its_stored_ids(tmp_path, most, plain):
    """Pillow stretches what a PGM stores, so that its largest value becomes white."""
    ids = np.random.default_rng(0).integers(most + 1, size=(5, 7))
    data = " ".join(map(str, ids.ravel())).encode() if plain else ids.astype(">u2" if most > 255 else "u1").tobytes()
    (tmp_path / "x.pgm").write_bytes(f"P{2 if plain else 5} 7 5 {most}\n".encode() + data)
    np.testing.assert_array_equal(read(tmp_path / "x.pgm").values, ids)


@pytest.mark.parametrize("bits", [2, 4])
def test_bits_in_the_other_order_too(tmp_path, bits):
    """FillOrder 2: the lowest bit of a byte comes first."""
    ids = np.random.default_rng(bits).integers(2**bits, size=(5, 8)).tolist()
    turned = bytes(int(format(byte, "08b")[::-1], 2) for byte in packed(ids, bits))
    (tmp_path / "x.tif").write_bytes(tiff([page(ids, bits, fill=2) | {"data": turned}]))
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, ids)


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_wide_numbers_are_kept(tmp_path, dtype, ending):
    if (dtype, ending) == (np.int32, ".png"):
        pytest.skip("PNG has no 32 bits")
    ids = np.array([[0, 1, 7], [200, 255, 3]], dtype) * (257 if dtype == np.uint16 else 1)
    Image.fromarray(ids).save(tmp_path / f"x{ending}")
    np.testing.assert_array_equal(read(tmp_path / f"x{ending}").values, ids)


@pytest.mark.parametrize("name", ["x.png", "x.gif", "x.bmp", "x.tif", "x.tga", "x.pcx", "x.pgm", "X.PNG"])
@pytest.mark.parametrize("values", [[0, 1], [0, 1, 2], [0, 255], [3, 7, 200]])
def test_every_exact_format_gives_the_ids(tmp_path, name, values):
    if name == "x.gif":
        values = range(len(values))  # Pillow's writer numbers the values of a GIF anew
    ids = np.random.default_rng(0).choice(np.array(values, np.uint8), (9, 14))
    Image.fromarray(ids).save(tmp_path / name)
    np.testing.assert_array_equal(read(tmp_path / name).values, ids)
    if name not in ("x.pgm", "x.tga", "x.gif"):  # Pillow's writers have no palette, or number it anew
        palette = Image.fromarray(ids)
        palette.putpalette(np.random.default_rng(1).integers(256, size=768, dtype=np.uint8).tobytes())
        palette.save(tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / name).values, ids)


def test_signed_numbers_are_kept(tmp_path):
    Image.fromarray(np.array([[-1, 0, 5]], np.int32)).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, [[-1, 0, 5]])


def test_whole_floating_point_numbers_are_numbers(tmp_path):
    """Programs for maps often save ids so."""
    Image.fromarray(np.array([[0, 2, 11]], np.float32)).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, [[0, 2, 11]])
    Image.fromarray(np.array([[0, 0.25, 1]], np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif holds numbers that are not whole, from 0 to 1: it is a soft mask"):
        read(tmp_path / "x.tif")


def test_a_palette_gives_numbers_and_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "x.png")
    raw = read(tmp_path / "x.png")
    np.testing.assert_array_equal(raw.values, [[0, 1, 2]])
    np.testing.assert_array_equal(raw.palette[:3], [(0, 0, 0), (10, 20, 30), (40, 50, 60)])


def test_colours_stay_colours(tmp_path):
    colours = np.random.default_rng(0).integers(256, size=(4, 5, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read(tmp_path / "x.png").colours, colours)
    opaque = np.dstack([colours, np.full((4, 5), 255, np.uint8)])
    Image.fromarray(opaque, "RGBA").save(tmp_path / "x.png")
    np.testing.assert_array_equal(read(tmp_path / "x.png").colours, colours)


def test_labels_in_the_transparency_alone_are_refused(tmp_path):
    pixels = np.full((4, 5, 4), 255, np.uint8)
    pixels[:2, :, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"x\.png has one colour everywhere, and only its transparency differs"):
        read(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("x.jpg", {}, "JPEG"),
        ("x.tif", {"compression": "jpeg"}, "TIFF with JPEG compression"),
        ("x.tif", {"compression": "tiff_lzw"}, None),
        ("x.webp", {}, "lossy WebP"),
        ("x.webp", {"lossless": True}, None),
        ("x.png", {}, None),
    ],
)
def test_a_lossy_compression_is_marked(tmp_path, name, options, lossy):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / name, **options)
    assert read(tmp_path / name).lossy == lossy


def test_colours_of_16_bits_are_refused(tmp_path):
    """Pillow keeps the upper byte, so that the ids 0, 1 and 2 would all be 0."""
    pixels = np.arange(24, dtype="<u2").reshape(2, 4, 3).tobytes()
    about = {"width": 4, "height": 2, "bits": 16, "bands": 3, "colour": 2, "data": pixels}
    (tmp_path / "x.tif").write_bytes(tiff([about]))
    with pytest.raises(InputError, match=r"x\.tif has colours of 16 bits"):
        read(tmp_path / "x.tif")


# --- pages -------------------------------------------------------------------------------------------------------


def test_several_pages_are_refused_and_overviews_are_none(tmp_path):
    one, small = page([[0, 1], [1, 2]], 8), page([[0]], 8, subfile=1)
    (tmp_path / "x.tif").write_bytes(tiff([one, small, page([[1, 0], [0, 1]], 1, subfile=4)]))
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, [[0, 1], [1, 2]])
    (tmp_path / "x.tif").write_bytes(tiff([one, one | {"subfile": 2}, one]))
    with pytest.raises(InputError, match=r"x\.tif has 3 pages; save each page as a file of its own"):
        read(tmp_path / "x.tif")


def test_a_chain_of_pages_without_end_is_refused(tmp_path):
    data = bytearray(tiff([page([[0, 1]], 8), page([[0, 1]], 8)]))
    first = int.from_bytes(data[4:8], "little")
    link = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    second = int.from_bytes(data[link : link + 4], "little")
    link = second + 2 + 12 * int.from_bytes(data[second : second + 2], "little")
    data[link : link + 4] = first.to_bytes(4, "little")
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(InputError, match="2 pages"):
        read(tmp_path / "x.tif")


# --- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<u2", ">i4", "<i8", "f4", ">f8"])
@pytest.mark.parametrize("order", "CF")
def test_arrays_are_read(tmp_path, dtype, order):
    ids = np.array([[0, 1, 1], [1, 0, 0]]) * (1 if dtype == "?" else 5)
    np.save(tmp_path / "x.npy", np.array(ids, dtype, order=order))
    np.testing.assert_array_equal(read(tmp_path / "x.npy").values, ids)


def test_axes_of_length_one_are_dropped(tmp_path):
    ids = np.arange(12).reshape(3, 4)
    for shape in ((1, 3, 4), (3, 4, 1), (1, 1, 3, 4)):
        np.save(tmp_path / "x.npy", ids.reshape(shape))
        np.testing.assert_array_equal(read(tmp_path / "x.npy").values, ids)


def test_colours_in_an_array(tmp_path):
    colours = np.random.default_rng(0).integers(256, size=(4, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", colours)
    np.testing.assert_array_equal(read(tmp_path / "x.npy").colours, colours)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4, 5), np.uint8), r"shape \(3, 4, 5\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros((2, 2)) + 0.5, "not whole"),
        (np.full((2, 2), np.nan), "not whole"),
        (np.full((2, 2), 1e300), "not whole"),
        (np.zeros((2, 2), complex), "complex128, not numbers"),
        (np.full((2, 2), 2**63, np.uint64), "no class"),
        (np.array([["a"]]), "not numbers"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=rf"x\.npy .*{words}"):
        read_npy(tmp_path / "x.npy")


class Trap:
    def __reduce__(self):
        return (print, ("a pickle ran",))


def test_pickles_are_not_opened(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy holds Python objects"):
        read_npy(tmp_path / "x.npy")
    assert not capsys.readouterr().out


def header(text, size=b"", version=(1, 0)):
    text = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(2, "little") + text + size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"not an array",
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 99999999), }", b"12"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", b"123"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -2), }", b"1234"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + ", }", b"1234"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1," * 200 + "), }", b"1"),
        header("__import__('os').getpid()", b"1"),
        header("{}", b"1", (9, 9)),
        header("{'descr': '|u1', 'shape': (2, 2\0", b"1"),
    ],
)
def test_damaged_arrays_are_refused_by_name(tmp_path, data):
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.npy"):
        read_npy(tmp_path / "x.npy")


def test_other_files_are_no_labels(tmp_path):
    with pytest.raises(InputError, match=r"labels are pictures, \.npy arrays or labelme"):
        reader(tmp_path / "x.doc")


def test_a_missing_file_is_named(tmp_path):
    for ending in (".png", ".npy", ".json"):
        with pytest.raises(InputError, match=rf"there is no file .*x\{ending}"):
            read(tmp_path / f"x{ending}")


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("colour", [0, 1])
def test_a_compressed_tiff_of_few_bits(tmp_path, bits, colour):
    ids = np.random.default_rng(bits).integers(2**bits, size=(5, 11)).tolist()
    data = {"data": zlib.compress(packed(ids, bits)), "compression": 8}
    (tmp_path / "x.tif").write_bytes(tiff([page(ids, bits, colour=colour) | data]))
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, ids)


def test_a_compressed_tiff(tmp_path):
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    file = io.BytesIO()
    picture.save(file, "TIFF", compression="tiff_lzw")
    (tmp_path / "x.tif").write_bytes(file.getvalue())
    np.testing.assert_array_equal(read(tmp_path / "x.tif").values, np.arange(12).reshape(3, 4))
