"""Small datasets on disk for the readers, and the paths of real datasets where a machine has them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared"


def write_pair(images, labels, stem, size=(6, 8), ids=(0, 1, 2), suffix=".png", seed=0):
    """Write a random picture and random labels made of `ids`. Returns: the two arrays."""
    rng = np.random.default_rng(seed)
    image = rng.integers(256, size=(*size, 3), dtype=np.uint8)
    ids = rng.choice(np.array(ids, np.uint8), size)
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(images / f"{stem}{suffix}")
    Image.fromarray(ids).save(labels / f"{stem}.png")
    return image, ids


def grey_png(width, height, lines, depth=8, colour=0):
    """A grey PNG by hand: `lines` are the bytes of its rows, and the header may claim any size. Colour 4 adds alpha.

    Returns: bytes.
    """

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def pair():
    return write_pair


@pytest.fixture
def png():
    return grey_png


@pytest.fixture
def folder(tmp_path):
    """A folder dataset of seven pairs, a..g, ids 0..2."""
    for seed, stem in enumerate("abcdefg"):
        write_pair(tmp_path / "images", tmp_path / "labels", stem, seed=seed)
    return tmp_path


@pytest.fixture
def real_camvid():
    root = SHARED / "camvid"
    if not root.is_dir():
        pytest.skip("the real CamVid is not on this machine")
    return root


@pytest.fixture
def real_voc_pair():
    root = SHARED / "voc_demo"
    if not root.is_dir():
        pytest.skip("the real VOC pair is not on this machine")
    return root / "image.jpg", root / "label.png"
