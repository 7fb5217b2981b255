"""Labels by their colours: a palette PNG that another program saved again shows the same and stores other numbers."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import SBD, VOC, read_image, read_labels, voc_palette
from fcn_from_scratch.datasets.labels import read_colour_labels

# Some colours of PASCAL VOC's development kit, written down: background, aeroplane, bicycle, person, border.
VOC_COLOURS = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 255: (224, 224, 192)}


@pytest.fixture
def ids(rng):
    found = rng.choice(np.array([*VOC_COLOURS], np.uint8), (7, 9))
    found[0, :5] = [*VOC_COLOURS]
    return found


def palette_png(path, numbers, colours):
    """A palette PNG by Pillow; `colours` is a dict number -> colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(numbers)
    table = np.zeros((max(colours) + 1, 3), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    picture.putpalette(table.tobytes())
    picture.save(path)


def voc(root, name="2007_000001"):
    """A kit of one picture, without labels. Returns: the labels' path."""
    kit = root / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (kit / part).mkdir(parents=True)
    Image.new("RGB", (9, 7)).save(kit / "JPEGImages" / f"{name}.jpg")
    (kit / "ImageSets/Segmentation/val.txt").write_text(f"{name}\n")
    return kit / "SegmentationClass" / f"{name}.png"


def sbd(root, name="2008_000002"):
    for part in ("img", "cls"):
        (root / "SBD" / part).mkdir(parents=True)
    Image.new("RGB", (9, 7)).save(root / "SBD" / "img" / f"{name}.jpg")
    (root / "SBD" / "val.txt").write_text(f"{name}\n")
    return root / "SBD" / "cls" / f"{name}.png"


@pytest.mark.parametrize(("make", "reader"), [(voc, VOC), (sbd, SBD)])
class TestReaders:
    def labels(self, root, make, reader, write):
        path = make(root)
        write(path)
        return reader(root, "val")[0].labels

    def test_the_datasets_own_palette(self, tmp_path, make, reader, ids):
        found = self.labels(tmp_path, make, reader, lambda path: palette_png(path, ids, VOC_COLOURS))
        np.testing.assert_array_equal(found, ids)

    def test_another_order_of_the_colours(self, tmp_path, make, reader, ids):
        """As pngquant and "indexed colours" of drawing programs save it: 5 colours, numbered 0 to 4."""
        order = {255: 3, 15: 0, 0: 1, 2: 2, 1: 4}
        numbers = np.vectorize(order.get)(ids).astype(np.uint8)
        colours = {order[number]: colour for number, colour in VOC_COLOURS.items()}
        found = self.labels(tmp_path, make, reader, lambda path: palette_png(path, numbers, colours))
        np.testing.assert_array_equal(found, ids)

    def test_colours_instead_of_a_palette(self, tmp_path, make, reader, ids):
        pixels = np.array([VOC_COLOURS.get(k, (0, 0, 0)) for k in range(256)], np.uint8)[ids]
        found = self.labels(tmp_path, make, reader, lambda path: Image.fromarray(pixels).save(path))
        np.testing.assert_array_equal(found, ids)

    def test_grey_files_and_grey_palettes_hold_ids(self, tmp_path, make, reader, ids):
        """What SegmentationClassAug is. A palette of shades of grey says nothing either."""
        path = make(tmp_path)
        for save in (
            lambda: Image.fromarray(ids).save(path),
            lambda: Image.fromarray(ids).convert("P").save(path),
            lambda: palette_png(path, ids, dict.fromkeys(range(256), (0, 0, 0))),
        ):
            save()
            np.testing.assert_array_equal(reader(tmp_path, "val")[0].labels, ids)

    def test_a_border_of_another_colour_is_the_border(self, tmp_path, make, reader, ids):
        colours = VOC_COLOURS | {255: (255, 255, 255)}
        found = self.labels(tmp_path, make, reader, lambda path: palette_png(path, ids, colours))
        np.testing.assert_array_equal(found, ids)

    def test_a_palette_that_ends_before_the_border(self, tmp_path, make, reader, ids):
        """Of the 21 classes alone, as many scripts write it: 255 is then shown in black, and is no background."""
        colours = {number: tuple(voc_palette()[number].tolist()) for number in range(21)}
        found = self.labels(tmp_path, make, reader, lambda path: palette_png(path, ids, colours))
        np.testing.assert_array_equal(found, ids)

    def test_unknown_colours_are_refused(self, tmp_path, make, reader, ids):
        colours = VOC_COLOURS | {2: (244, 35, 232)}
        with pytest.raises(InputError, match=r"\.png has a palette of its own: it shows 2 as \(244, 35, 232\)"):
            self.labels(tmp_path, make, reader, lambda path: palette_png(path, ids, colours))

    def test_unknown_rgb_is_refused(self, tmp_path, make, reader):
        with pytest.raises(InputError, match=r"pixels in colours not in the palette: first \(1, 2, 3\)"):
            self.labels(tmp_path, make, reader, lambda path: Image.new("RGB", (9, 7), (1, 2, 3)).save(path))

    def test_ids_beyond_the_classes_are_named(self, tmp_path, make, reader, ids):
        numbers = ids.copy()
        numbers[3, 3] = 21
        palette = {number: tuple(colour) for number, colour in enumerate(voc_palette().tolist())}
        with pytest.raises(InputError, match=r"contain the id 21 .*0\.\.20"):
            self.labels(tmp_path, make, reader, lambda path: palette_png(path, numbers, palette))


@pytest.mark.parametrize("ending", ["jp2", "jpg", "avif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_labels_are_refused(tmp_path, ending, mode):
    path = tmp_path / f"labels.{ending}"
    try:
        Image.new(mode, (64, 64)).save(path)
    except (KeyError, OSError, ValueError) as error:
        pytest.skip(f"this Pillow writes no {ending}: {error}")
    with pytest.raises(InputError, match="whose compression alters class ids: save labels as PNG"):
        read_labels(path, palette=voc_palette())


def test_a_folder_of_ones_own_keeps_its_numbers(tmp_path, ids):
    """Without a dataset's palette the numbers of a palette file are the ids."""
    palette_png(tmp_path / "a.png", ids, VOC_COLOURS | {2: (1, 2, 3)})
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), ids)


def test_a_number_without_a_colour_is_named(tmp_path):
    """A palette of two colours, and a pixel of number 5. Pillow reads such a file, and fails to convert it."""
    path = tmp_path / "a_L.png"
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes((0, 0, 0, 128, 0, 0))),
        (b"IDAT", zlib.compress(3 * (b"\0" + 4 * b"\5"))),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert (np.asarray(Image.open(path)) == 5).all()
    for read in (read_image, lambda path: read_colour_labels(path, np.array([(0, 0, 0), (128, 0, 0)]), [0, 1])):
        try:
            assert read(path).max() == 0  # some versions of Pillow take such a number for black
        except InputError as error:
            assert "a_L.png cannot be read as a picture" in str(error)  # noqa: PT017
