"""Bands, range, pages and sample types of pictures."""

import numpy as np
import pytest
from PIL import Image
from tiffs import tiff

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import read_image
from fcn_from_scratch.datasets.own import tiff as tiff_module
from fcn_from_scratch.datasets.own.bands import deepest, parse_bands, parse_range, read_picture, refuse_shallow

SIZE = (5, 7)


def noise(bands, bits=8, seed=0):
    return np.random.default_rng(seed).integers(2**bits, size=(*SIZE, bands)).astype(np.uint8 if bits == 8 else "<u2")


def save(path, pixels, colour=2, extra=(), **more):
    bits, bands = pixels.dtype.itemsize * 8, pixels.shape[2]
    about = {"width": SIZE[1], "height": SIZE[0], "bits": bits, "bands": bands, "data": pixels.tobytes()}
    path.write_bytes(tiff([about | {"colour": colour, "extra": extra} | more]))
    return path


# --- the options -------------------------------------------------------------------------------------------------


def test_what_can_be_typed():
    assert parse_bands("0, 1,2") == (0, 1, 2)
    assert parse_bands("3") == (3,)
    assert parse_range(" 0:4095 ") == (0, 4095)
    assert parse_range("-1024:0.5") == (-1024, 0.5)
    assert parse_bands(None) is parse_range(None) is None


@pytest.mark.parametrize("text", ["", "0,1", "0,1,2,3", "a", "-1,0,1", "0,,1", "1.0"])
def test_wrong_bands(text):
    with pytest.raises(InputError, match="--bands takes three bands"):
        parse_bands(text)


@pytest.mark.parametrize("text", ["", "5", "5:", "9:9", "9:1", "a:b", "nan:1", "0:inf", "0:1:2", "0-1"])
def test_wrong_range(text):
    with pytest.raises(InputError, match="--range takes LOW:HIGH"):
        parse_range(text)


# --- bands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0, 1, 2], ids=["unspecified", "associated alpha", "alpha"])
def test_a_fourth_band_is_refused_until_bands_say(tmp_path, extra):
    pixels = noise(4)
    pixels[:, :, 3] |= 1
    path = save(tmp_path / "x.tif", pixels, extra=[extra])
    with pytest.raises(
        InputError, match=r"x\.tif has 4 bands, and its last one is no mask of 0 and 255: .*--bands 0,1,2"
    ):
        read_picture(path)
    if extra != 1:  # Pillow divides the colours by an associated alpha
        np.testing.assert_array_equal(read_picture(path, (0, 1, 2)), pixels[:, :, :3])
        np.testing.assert_array_equal(read_picture(path, (3, 0, 1)), pixels[:, :, [3, 0, 1]])
        np.testing.assert_array_equal(read_picture(path, (3,)), pixels[:, :, [3, 3, 3]])
    with pytest.raises(InputError, match=r"x\.tif has no band 4: its bands are 0\.\.3"):
        read_picture(path, (0, 1, 4))


def test_a_png_with_soft_transparency_is_refused_too(tmp_path):
    pixels = noise(4)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "x.png")
    with pytest.raises(InputError, match="4 bands"):
        read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", (0, 1, 2)), pixels[:, :, :3])


@pytest.mark.parametrize("extra", [0, 2])
def test_a_mask_is_laid_on_white(tmp_path, extra):
    pixels = noise(4)
    pixels[:, :, 3] = np.where(pixels[:, :, 3] > 100, 255, 0)
    path = save(tmp_path / "x.tif", pixels, extra=[extra])
    expected = np.where(pixels[:, :, 3:] == 255, pixels[:, :, :3], 255)
    np.testing.assert_array_equal(read_picture(path), expected)


def test_more_bands_than_a_picture_has(tmp_path):
    pixels = noise(6)
    path = save(tmp_path / "x.tif", pixels, extra=[0, 0, 0])
    with pytest.raises(InputError, match=r"x\.tif has 6 bands, and a picture has three: .*--bands 0,1,2"):
        read_picture(path)
    np.testing.assert_array_equal(read_picture(path, (2, 1, 0)), pixels[:, :, 2::-1])
    with pytest.raises(InputError, match=r"no band 5: its bands are 0\.\.3; it has 6, of which 4 can be read"):
        read_picture(path, (0, 1, 5))


def test_grey_with_a_second_band(tmp_path):
    pixels = noise(2)
    for extra in ([0], [2]):
        path = save(tmp_path / "x.tif", pixels, colour=1, extra=extra)
        with pytest.raises(InputError, match=r"2 bands, .*--bands 0$"):
            read_picture(path)
        np.testing.assert_array_equal(read_picture(path, (0,)), pixels[:, :, [0, 0, 0]])


def test_sixteen_bits_with_a_mask(tmp_path, png):
    """Grey with 16 bits and a mask that hides nothing, by hand: Pillow writes no such PNG."""
    values = np.arange(35).reshape(SIZE) * 1800
    lines = [b"".join(int(v).to_bytes(2, "big") + b"\xff\xff" for v in row) for row in values]
    (tmp_path / "x.png").write_bytes(png(SIZE[1], SIZE[0], lines, 16, colour=4))
    np.testing.assert_allclose(read_picture(tmp_path / "x.png")[:, :, 0], values / 257, atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".bmp"])
def test_plain_pictures_are_read_as_ever(tmp_path, mode, ending):
    picture = Image.fromarray(noise(3)).convert(mode)
    try:
        picture.save(tmp_path / f"x{ending}")
    except OSError:
        pytest.skip(f"{ending} has no {mode}")
    np.testing.assert_array_equal(read_picture(tmp_path / f"x{ending}"), read_image(tmp_path / f"x{ending}"))


# --- samples -----------------------------------------------------------------------------------------------------


def test_samples_that_cannot_be_read_are_named(tmp_path):
    path = save(tmp_path / "x.tif", noise(4, 16), colour=1, extra=[0, 0, 0])
    with pytest.raises(
        InputError, match=r"x\.tif is a TIFF of 4 bands of 16-bit unsigned integers, which Pillow cannot"
    ):
        read_picture(path, (0, 1, 2))
    path = save(tmp_path / "x.tif", np.zeros((*SIZE, 1)), colour=1, kind=3)
    with pytest.raises(InputError, match=r"a TIFF of 1 band of 64-bit floating-point numbers"):
        read_picture(path)


@pytest.mark.parametrize("pages", [2, 100])
def test_pages_are_counted(tmp_path, pages):
    about = {"width": 2, "height": 1, "bits": 8, "data": b"\0\1"}
    (tmp_path / "x.tif").write_bytes(tiff([about] * pages))
    with pytest.raises(InputError, match=f"x.tif has {'2' if pages == 2 else '64 or more'} pages"):
        read_picture(tmp_path / "x.tif")


@pytest.mark.parametrize("order", "<>")
def test_a_tiff_is_described(tmp_path, order):
    about = {"width": 2, "height": 1, "bits": 16, "data": bytes(12), "bands": 3, "colour": 2, "kind": 2}
    (tmp_path / "x.tif").write_bytes(tiff([about], order))
    assert tiff_module.describe(tmp_path / "x.tif") == (3, 16, "signed integers", True, 1)


@pytest.mark.parametrize("cut", [0, 4, 8, 10, 30, 100])
def test_what_is_no_tiff_is_not_described(tmp_path, cut):
    data = tiff([{"width": 2, "height": 1, "bits": 8, "data": b"\0\1"}])[:cut]
    (tmp_path / "x.tif").write_bytes(data)
    assert tiff_module.describe(tmp_path / "x.tif") is None


# --- range -------------------------------------------------------------------------------------------------------


def test_a_range_becomes_black_and_white(tmp_path):
    values = np.array([[0, 100, 2000, 4095, 9000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    found = read_picture(tmp_path / "x.png", None, (100, 4095))
    expected = [0, 0, round(1900 / 3995 * 255), 255, 255]
    assert found[0].tolist() == [[value] * 3 for value in expected]


def test_numbers_without_a_known_range_need_one(tmp_path):
    for dtype in (np.int32, np.float32):
        Image.fromarray(np.array([[-1000, 0, 1000]], dtype)).save(tmp_path / "x.tif")
        with pytest.raises(InputError, match=r"x\.tif holds .* from -1000 to 1000: .*--range LOW:HIGH"):
            read_picture(tmp_path / "x.tif")
        assert read_picture(tmp_path / "x.tif", None, (-1000, 1000))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_of_colour_are_all_used(tmp_path, order):
    """Pillow keeps the upper byte of 16-bit colours, of which 12-bit pictures use four bits."""
    pixels = noise(3, 16) // 16
    about = {"width": SIZE[1], "height": SIZE[0], "bits": 16, "bands": 3, "colour": 2}
    (tmp_path / "x.tif").write_bytes(tiff([about | {"data": pixels.astype(order + "u2").tobytes()}], order))
    assert deepest(tmp_path / "x.tif") == pixels.max()
    expected = np.rint(pixels / 4095 * 255)
    np.testing.assert_allclose(read_picture(tmp_path / "x.tif", None, (0, 4095)), expected, atol=1)


@pytest.mark.parametrize("extra", [0, 2], ids=["unspecified", "alpha"])
def test_four_bands_of_sixteen_bits(tmp_path, extra):
    pixels = noise(4, 16) // 16
    path = save(tmp_path / "x.tif", pixels, extra=[extra])
    with pytest.raises(InputError, match=r"4 bands, .*--bands 0,1,2"):
        read_picture(path)
    expected = np.rint(pixels[:, :, [3, 0, 1]] / 4095 * 255)
    np.testing.assert_allclose(read_picture(path, (3, 0, 1), (0, 4095)), expected, atol=1)


def test_the_range_of_eight_bits_may_be_said(tmp_path):
    pixels = noise(3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", None, (0, 255)), pixels)
    assert read_picture(tmp_path / "x.png", None, (0, 1)).max() == 255
    assert deepest(tmp_path / "x.png") is None


@pytest.mark.parametrize(("largest", "typed"), [(4095, "0:4095"), (4000, "0:4095"), (1023, "0:1023"), (7, "0:255")])
def test_nearly_black_pictures_are_refused(tmp_path, largest, typed):
    Image.fromarray(np.array([[0, largest]], np.uint16)).save(tmp_path / "x.png")
    assert deepest(tmp_path / "x.png") == largest
    with pytest.raises(InputError, match=rf"in images hold no value above {largest} of 65535.*--range {typed}$"):
        refuse_shallow(largest, "images")


@pytest.mark.parametrize("largest", [None, 0, 8192, 65535])
def test_other_pictures_are_not(largest):
    refuse_shallow(largest, "images")


def test_damaged_pictures_are_named(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    for read in (read_picture, deepest):
        with pytest.raises(InputError, match=r"x\.png cannot be read"):
            read(tmp_path / "x.png")
        with pytest.raises(InputError, match=r"there is no file .*y\.png"):
            read(tmp_path / "y.png")
