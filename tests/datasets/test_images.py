"""Reading pictures: every mode becomes RGB bytes, and every broken file gives a clear error."""

import contextlib
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import images, picture_costs, read_image, read_labels


@pytest.fixture
def grey(rng):
    return rng.integers(256, size=(5, 7), dtype=np.uint8)


def test_rgb_is_read_as_it_is(tmp_path, rng):
    pixels = rng.integers(256, size=(5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), pixels)
    np.testing.assert_array_equal(read_image(str(tmp_path / "x.png")), pixels)


def test_grey_is_repeated(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), np.dstack([grey] * 3))


def test_one_bit_is_black_and_white(tmp_path, grey):
    Image.fromarray(grey > 128).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[:, :, 1], 255 * (grey > 128))


def test_palette_gives_colours(tmp_path, grey):
    picture = Image.fromarray(grey % 4)
    palette = np.array([[9, 8, 7], [60, 50, 40], [0, 255, 3], [1, 2, 200]], np.uint8)
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), palette[grey % 4])


def test_sixteen_bits_keep_the_upper_eight(tmp_path, grey):
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[:, :, 2], grey)


def test_two_bit_grey_is_stretched_in_a_picture(tmp_path, png):
    (tmp_path / "x.png").write_bytes(png(4, 1, [bytes([0b00011011])], depth=2))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[0, :, 0], [0, 85, 170, 255])


def test_transparent_parts_are_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), [[[10, 20, 30], [255, 255, 255]]])


def test_cmyk_becomes_rgb(tmp_path):
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    cyan.save(tmp_path / "x.tif")
    assert read_image(tmp_path / "x.tif")[0, 0].tolist() == [0, 255, 255]


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif holds floating-point"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_read_as_displayed(tmp_path, orientation):
    """A grid of blocks, turned by hand for each EXIF orientation, must come back upright."""
    upright = np.kron([[0, 50, 100], [150, 200, 250]], np.ones((16, 16))).astype(np.uint8)
    # how a camera stores the upright scene under each orientation: the inverse of what a viewer does
    stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "x.jpg", quality=95, exif=exif)
    np.testing.assert_allclose(read_image(tmp_path / "x.jpg")[:, :, 0], upright, atol=8)


# --- broken files ---------------------------------------------------------------------------------------------


LINES = [bytes(range(20))] * 20
BROKEN = {
    "empty": lambda png: b"",
    "text": lambda png: b"this is no picture\n",
    "signature only": lambda png: png(20, 20, LINES)[:8],
    "cut in the header": lambda png: png(20, 20, LINES)[:20],
    "cut in the data": lambda png: png(20, 20, LINES)[:60],
    "wrong checksum": lambda png: png(20, 20, LINES).replace(b"IDAT", b"IDAT\xff", 1),
    "claims to be larger": lambda png: png(200, 200, LINES),
    "claims to be huge": lambda png: png(60_000, 60_000, LINES),
    "claims 120 megapixels": lambda png: png(12_000, 10_000, LINES),
    "claims no size": lambda png: png(0, 0, []),
    "impossible depth": lambda png: png(20, 20, LINES, depth=7),
    "jpeg start only": lambda png: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "bmp start only": lambda png: b"BM" + bytes(30),
    "tiff without a directory": lambda png: b"II*\x00\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("read", [read_image, read_labels])
@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_named(tmp_path, png, read, kind):
    path = tmp_path / "broken.png"
    path.write_bytes(BROKEN[kind](png))
    with pytest.raises(InputError, match=r"broken\.png"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_missing_files_and_folders_are_named(tmp_path, read):
    with pytest.raises(InputError, match=r"there is no file .*gone\.png"):
        read(tmp_path / "gone.png")
    with pytest.raises(InputError, match=str(tmp_path.name)):
        read(tmp_path)


def test_a_truncated_jpeg_is_named(tmp_path, rng):
    path = tmp_path / "x.jpg"
    Image.fromarray(rng.integers(256, size=(40, 40, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"x\.jpg"):
        read_image(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_damage_anywhere_is_a_complaint_or_a_picture(tmp_path, rng, format):
    path = tmp_path / "x"
    Image.fromarray(rng.integers(4, size=(12, 12), dtype=np.uint8)).save(path, format=format)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        path.write_bytes(damaged[: rng.integers(len(whole)) if rng.random() < 0.3 else None].tobytes())
        for read in (read_image, read_labels):
            with contextlib.suppress(InputError):
                assert read(path).dtype == np.uint8


@pytest.mark.parametrize("read", [read_image, read_labels])
@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, 100) + bytes(20) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.4\n%%EOF\n",
    ],
    ids=["eps", "eps with a preview", "pdf"],
)
def test_no_picture_starts_a_program(tmp_path, monkeypatch, read, content):
    def start(*_, **__):
        raise AssertionError("a picture started a program")

    monkeypatch.setattr(subprocess, "Popen", start)
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError, match="none of the formats PNG, JPEG"):
        read(tmp_path / "x.png")


def test_every_picture_is_opened_by_named_formats():
    package = Path(images.__file__).parents[1]
    for path in package.rglob("*.py"):
        for call in re.findall(r"Image\.open\((.*)", path.read_text(encoding="utf-8")):
            assert "formats=" in call, path


def test_the_largest_picture(tmp_path, png, monkeypatch):
    monkeypatch.setattr(picture_costs, "MOST_PIXELS", 399)
    (tmp_path / "x.png").write_bytes(png(20, 20, LINES))
    with pytest.raises(InputError, match="larger than 0 megapixels"):
        read_image(tmp_path / "x.png")


# --- what decoding costs ----------------------------------------------------------------------------------------


def segment(marker, data):
    return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_of_scans(side, count, stuffing=b""):
    """A grey progressive JPEG: one scan of the mean of each block, then scans that say nothing of all blocks."""
    blocks = (-(-side // 8)) ** 2
    table = segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0])) + segment(0xC4, bytes([0x00, 1, *[0] * 15, 0x00]))
    head = segment(0xDB, b"\0" + bytes([1]) * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    bits = "".join("0" + format(16383, "014b") for _ in range(-(-blocks // (16384 + 16383))))
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    body = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(-(-blocks // 8))
    for number in range(count - 1):
        band = 1 + number % 63
        body += stuffing + segment(0xDA, bytes([1, 1, 0, band, band, 0])) + empty
    return b"\xff\xd8" + head + table + body + b"\xff\xd9"


@pytest.mark.parametrize("stuffing", [b"", b"\xff\xff\xff", segment(0xFE, b"\xff\xd9"), segment(0xE1, b"\xff\xda" * 9)])
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_a_jpeg_of_many_scans_is_refused_at_once(tmp_path, read, stuffing):
    (tmp_path / "x.jpg").write_bytes(jpeg_of_scans(4000, 5000, stuffing))
    start = time.process_time()
    with pytest.raises(InputError, match=r"x\.jpg has more than 200 scans"):
        read(tmp_path / "x.jpg")
    assert time.process_time() - start < 1


@pytest.mark.parametrize("stuffing", [b"", segment(0xE1, b"\xff\xda" * 400)])
def test_a_jpeg_of_some_scans_is_read(tmp_path, stuffing):
    """Markers inside a segment, such as those of a preview, are none of the picture's scans."""
    (tmp_path / "x.jpg").write_bytes(jpeg_of_scans(64, 64, stuffing))
    assert read_image(tmp_path / "x.jpg").shape == (64, 64, 3)


@pytest.mark.parametrize(("progressive", "expected"), [(True, True), (False, False)])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_scans_of_pillows_jpegs(tmp_path, mode, progressive, expected):
    Image.new(mode, (40, 30), 3).save(tmp_path / "x.jpg", progressive=progressive)
    scans, keeps_all = picture_costs.jpeg_scans((tmp_path / "x.jpg").read_bytes())
    assert (scans > 1, keeps_all) == (expected, expected)


@pytest.mark.parametrize("kind", [b"P2", b"P3"])
def test_countless_comments_among_numbers_are_refused_at_once(tmp_path, kind):
    """Pillow's time grows with the square of their number: 4 MB of them take over 40 s."""
    (tmp_path / "x.ppm").write_bytes(kind + b"\n10 10\n9\n" + b"9\n#\n" * 1_000_000)
    start = time.process_time()
    with pytest.raises(InputError, match=r"x\.ppm has more than 1000 comments"):
        read_image(tmp_path / "x.ppm")
    assert time.process_time() - start < 5
    (tmp_path / "y.ppm").write_bytes(kind + b"\n10 10\n9\n" + b"9\n# a comment\n" * 300)
    assert read_image(tmp_path / "y.ppm").min() == 255


HUGE = {  # format: (options, the side that is refused before it is decoded, one that is read)
    "WEBP": ({"lossless": True, "quality": 0, "method": 0}, 4800, 4500),
    "JPEG2000": ({}, 3600, 3400),
    "JPEG": ({"progressive": True, "subsampling": 0}, 5400, 5000),
    "PNG": ({"compress_level": 1}, 6500, 6300),
    "TIFF": ({"compression": "tiff_lzw"}, 6500, 6100),
    "TGA": ({"compression": "tga_rle"}, 6500, 6300),
    "PCX": ({}, 6500, 6300),
    "AVIF": ({"speed": 10, "quality": 1}, 4800, 4500),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read as Linux tells it")
@pytest.mark.parametrize("format", HUGE)
def test_memory_of_huge_pictures(tmp_path, format):
    options, refused, read = HUGE[format]
    if format not in images.formats():
        pytest.skip(f"this Pillow has no {format}")
    exif = Image.Exif()
    exif[0x0112] = 6
    mode = "RGB" if format in ("JPEG", "PCX") else "RGBA"
    for name, side in (("refused", refused), ("read", read)):
        Image.new(mode, (side, side)).save(tmp_path / name, format, exif=exif, **options)
    with pytest.raises(InputError, match="refused is larger than"):
        read_image(tmp_path / "refused")
    child = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "read")], capture_output=True, text=True, check=True
    )
    assert int(child.stdout) < 500 * 1024  # KB


PEAK = """
import sys
from fcn_from_scratch.datasets import read_image
open("/proc/self/clear_refs", "w").write("5")
read_image(sys.argv[1])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_strips_change_nothing(tmp_path, rng, monkeypatch, mode):
    bands = len(Image.new(mode, (1, 1)).getbands())
    picture = Image.frombytes(mode, (17, 23), rng.bytes(17 * 23 * bands))
    picture.save(tmp_path / "x.tif")
    whole = read_image(tmp_path / "x.tif")
    monkeypatch.setattr(images, "STRIP", 40)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), whole)
