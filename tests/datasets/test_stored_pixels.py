"""The published datasets are read as their own loaders read them: pixels as stored, whatever EXIF says."""

import matfile
import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import NYUD, SBD, VOC, CamVid, Folder, PascalContext, SIFTFlow, read_image

SIDEWAYS = 6  # the EXIF orientation of a camera held upright


def turned(path):
    """Save a picture once more with an EXIF orientation. Returns: what Image.open gives, the published loaders' way."""
    picture = Image.open(path)
    picture.load()
    exif = picture.getexif()
    exif[0x0112] = SIDEWAYS
    picture.save(path, exif=exif, quality=95)
    return np.array(Image.open(path))


def voc(root, rng):
    return VOC, trees.voc(root, rng, train=["a"]) / "JPEGImages/a.jpg"


def sbd(root, rng):
    return SBD, trees.sbd(root, rng, train=["a"])[0] / "img/a.jpg"


def context(root, rng):
    trees.pascalcontext(root, rng, train=["a"])
    return PascalContext, root / "VOCdevkit/VOC2010/JPEGImages/a.jpg"


def nyud(root, rng):
    return NYUD, trees.nyud(root, rng, train=["5003"])[0] / "data/images/img_5003.png"


def siftflow(root, rng):
    folder, _ = trees.siftflow(root, rng, test=["b"], others=["a"])
    return SIFTFlow, folder / "Images" / trees.SCENES / "a.jpg"


def camvid(root, rng):
    trees.picture(root / "train/a.png", rng)
    (root / "trainannot").mkdir()
    Image.fromarray(np.ones(trees.SIZE, np.uint8)).save(root / "trainannot/a.png")
    return CamVid, root / "train/a.png"


@pytest.mark.parametrize("make", [voc, sbd, context, nyud, siftflow, camvid])
def test_a_picture_is_not_turned(tmp_path, rng, make):
    reader, path = make(tmp_path, rng)
    stored = turned(path)
    assert stored.shape == (*trees.SIZE, 3)
    assert read_image(path).shape == (*trees.SIZE[::-1], 3)  # a photograph to segment is turned
    sample = reader(tmp_path)[0]
    np.testing.assert_array_equal(sample.image, stored)
    assert sample.labels.shape[-2:] == trees.SIZE


def test_labels_are_not_turned_either(tmp_path, rng):
    kit = trees.voc(tmp_path, rng, train=["a"])
    stored = turned(kit / "SegmentationClass/a.png")
    np.testing.assert_array_equal(VOC(tmp_path)[0].labels, stored)


def test_ones_own_folder_is_turned(tmp_path, rng):
    image = trees.picture(tmp_path / "images/a.png", rng)
    (tmp_path / "labels").mkdir()
    ids = rng.integers(3, size=trees.SIZE[::-1]).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "labels/a.png")
    turned(tmp_path / "images/a.png")
    sample = Folder(tmp_path)[0]
    np.testing.assert_array_equal(sample.image, np.rot90(image, -1))
    np.testing.assert_array_equal(sample.labels, ids)


# --- NYUD's other channels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA"])
@pytest.mark.parametrize("modality", ["hha", "color-hha"])
def test_hha_has_three_channels_of_8_bits(tmp_path, rng, mode, modality):
    folder, _ = trees.nyud(tmp_path, rng, train=["5003"])
    path = folder / "data/hha/img_5003.png"
    Image.open(path).convert(mode).save(path)
    with pytest.raises(InputError, match=rf"img_5003\.png is a {mode} picture; HHA must have three channels of 8 bits"):
        NYUD(tmp_path, modality=modality)[0]


def test_depth_has_16_bits(tmp_path, rng):
    folder, written = trees.nyud(tmp_path, rng, train=["5003"])
    path = folder / "data/depth/img_5003.png"
    Image.fromarray((written["5003"]["depth"] // 256 + 1).astype(np.uint8)).save(path)
    with pytest.raises(
        InputError, match=r"img_5003\.png is a grey picture of 8 bits; a depth map must be grey, with 16"
    ):
        NYUD(tmp_path, modality="color-d")[0]


@pytest.mark.parametrize("number", [41, 255, 256, 1000])
def test_numbers_beyond_the_classes_are_no_void(tmp_path, rng, number):
    folder, written = trees.nyud(tmp_path, rng, train=["5003"])
    numbers = written["5003"]["numbers"].astype(np.uint16)
    numbers[5, 6] = number
    trees.mat(folder / "segmentation/img_5003.mat", matfile.array(numbers, "segmentation"))
    with pytest.raises(InputError, match=rf"img_5003\.mat.*({number}|{number - 1})"):
        NYUD(tmp_path)[0]
