"""Damaged files of every kind end in a sentence: never in another error, and never in memory without bounds."""

import io
import json
import random
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from slow_run_lengths import slow_counts, slow_text
from tiffs import packed, tiff

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.bands import deepest, read_picture
from fcn_from_scratch.datasets.own.class_files import read_class_file
from fcn_from_scratch.datasets.own.class_list import Classes
from fcn_from_scratch.datasets.own.coco import read_coco
from fcn_from_scratch.datasets.own.label_files import reader
from fcn_from_scratch.datasets.own.label_map import parse
from fcn_from_scratch.datasets.own.mask_list import read_mask_list
from fcn_from_scratch.datasets.own.settle import settle

IDS = np.arange(40, dtype=np.uint8).reshape(5, 8) % 4
ALL = settle(Classes(("a", "b")), parse("0-3:0,rest:1"))
TRIALS, MOST_MEMORY = 60, 64 << 20
WORDS = [b"999999999", b"-1", b"null", b"[]", b"{}", b"1e999", b"NaN", b'"x"', b"\xff\xff\xff\xff", b"\0\0\0\0"]


def saved(form, **options):
    file = io.BytesIO()
    Image.fromarray(IDS).save(file, form, **options)
    return file.getvalue()


def array():
    file = io.BytesIO()
    np.save(file, IDS)
    return file.getvalue()


RUNS = slow_text(slow_counts(IDS == 1))
LABELME = {"shapes": [{"label": "a", "points": [[1, 1], [5, 1], [5, 4]]}], "imageHeight": 5, "imageWidth": 8}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 5, "width": 8}],
    "categories": [{"id": 1, "name": "a"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]]},
        {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": {"size": [5, 8], "counts": RUNS}},
    ],
}
FILES = {
    "bits.tif": tiff([{"width": 8, "height": 5, "bits": 4, "data": packed(IDS.tolist(), 4)}]),
    "bands.tif": tiff(
        [{"width": 8, "height": 5, "bits": 8, "bands": 4, "colour": 2, "extra": [0], "data": bytes(160)}]
    ),
    "deep.tif": tiff([{"width": 8, "height": 5, "bits": 16, "bands": 3, "colour": 2, "data": bytes(240)}] * 2, ">"),
    "grey.png": saved("PNG"),
    "lossy.webp": saved("WEBP"),
    "grey.pgm": saved("PPM"),
    "array.npy": array(),
    "labelme.json": json.dumps(LABELME).encode(),
    "coco.json": json.dumps(COCO).encode(),
    "labelmap.txt": b"# x\na:1,2,3::\nb:3,4,5::\n",
    "_classes.csv": b"Pixel Value, Class\n0, a\n1, b\n",
    "classes.json": b'{"a": 1, "b": 2}',
    "masks.csv": b"image,mask,class\na.jpg,a.png,cat\na.jpg,b.png,dog\n",
}


def damaged(data, rng):
    """A copy with one to four bytes changed, cut out or replaced by a word that a reader may stumble over."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(data) + 1), rng.randrange(8)
        if kind < 3:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind < 5:
            del data[place : place + rng.randint(1, 8)]
        elif kind < 7:
            data[place : place + rng.choice((0, 1, 4))] = rng.choice(WORDS)
        else:
            del data[place:]
    return bytes(data)


def readers(name):
    if name == "coco.json":
        return [lambda path: [ALL.ids(read((5, 8)), path) for read in read_coco(path).values()]]
    if name == "masks.csv":
        return [read_mask_list]
    if name.startswith(("labelmap", "_classes", "classes")):
        return [read_class_file]
    found = [lambda path: ALL.ids(reader(path)(path, "a.jpg", (5, 8) if name == "labelme.json" else None), path)]
    if not name.endswith((".json", ".npy")):
        found += [read_picture, lambda path: read_picture(path, (0, 1, 3), (0, 9)), deepest]
    return found


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_end_in_a_sentence(tmp_path, name):
    rng, path = random.Random(name), tmp_path / name
    tracemalloc.start()
    try:
        for _ in range(TRIALS):
            path.write_bytes(damaged(FILES[name], rng))
            for read in readers(name):
                try:
                    read(path)
                except InputError as error:
                    sentence = str(error)
                    assert name in sentence
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("lossy.webp", "deep.tif")])
def test_they_are_read_undamaged(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert readers(name)[0](path) is not None
