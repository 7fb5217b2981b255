"""NYUDv2 in its layout: four modalities, and labels that count from one."""

import matfile
import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import NYUD, build


@pytest.fixture
def tree(tmp_path, rng):
    folder, written = trees.nyud(tmp_path, rng, train=["5003", "5001"], val=["5002"], test=["6000"])
    return tmp_path, folder, written


def test_splits(tree):
    root, folder, _ = tree
    assert [sample.name for sample in NYUD(root)] == ["5003", "5001"]
    assert [sample.name for sample in NYUD(folder, "trainval")] == ["5003", "5001", "5002"]
    trees.lines(folder / "trainval.txt", "5002")
    assert [sample.name for sample in NYUD(folder, "trainval")] == ["5002"]
    assert len(NYUD(root, "test")) == 1


def test_labels_are_the_files_numbers_less_one(tree):
    """0, void, is ignored; as bytes that is what 0 - 1 comes to."""
    root, _, written = tree
    for sample in NYUD(root):
        np.testing.assert_array_equal(sample.labels, written[sample.name]["numbers"] - np.uint8(1))
        assert set(np.unique(sample.labels)) <= {*range(40), 255}
        assert (sample.labels == 255).any()


def test_channels_of_each_modality(tree):
    root, _, written = tree
    for name, number in (("5003", 0), ("5001", 1)):
        colour, hha = written[name]["images"], written[name]["hha"]
        images = {modality: NYUD(root, modality=modality)[number].image for modality in ("color", "hha", "color-hha")}
        np.testing.assert_array_equal(images["color"], colour)
        np.testing.assert_array_equal(images["hha"], hha)
        np.testing.assert_array_equal(images["color-hha"], np.concatenate([colour, hha], axis=2))
        image = NYUD(root, modality="color-d")[number].image
        assert (image.shape, image.dtype) == ((*trees.SIZE, 4), np.float32)
        np.testing.assert_array_equal(image[:, :, :3], colour)
        np.testing.assert_allclose(image[:, :, 3], np.log(written[name]["depth"].astype(float)), rtol=1e-6)


def test_what_the_network_sees(tree):
    """BGR and HHA less their means, HHA in the files' order, ln(depth) - 7.844."""
    root, _, written = tree
    red, green, blue = written["5003"]["images"][3, 5].astype(float)
    h1, h2, a = written["5003"]["hha"][3, 5].astype(float)
    colours = [blue - 116.190, green - 97.203, red - 92.318]
    hha = [h1 - 132.431, h2 - 94.076, a - 118.477]
    depth = np.log(float(written["5003"]["depth"][3, 5])) - 7.844
    expected = {"color": colours, "color-d": [*colours, depth], "hha": hha, "color-hha": [*colours, *hha]}
    for modality, numbers in expected.items():
        dataset = NYUD(root, modality=modality)
        x = dataset.preprocess(dataset[0].image)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x[:, 3, 5], numbers, rtol=1e-4, atol=1e-4)


def test_only_the_folders_that_are_read_must_be_there(tree):
    root, folder, _ = tree
    (folder / "data" / "depth").rename(folder / "gone")
    for modality in ("color", "hha", "color-hha"):
        assert len(NYUD(root, modality=modality)) == 2
    with pytest.raises(InputError, match=r"missing \(2\): .*depth.img_5003\.png.*`fcn data nyud`"):
        build("nyud", root, modality="color-d")


@pytest.mark.parametrize("part", ["segmentation", "train.txt"])
def test_what_is_missing_is_named(tree, part):
    (tree[1] / part).rename(tree[1] / "gone")
    with pytest.raises(InputError, match=rf"there is no .*{part}; `fcn data nyud` says how"):
        build("nyud", tree[0])


def test_an_unknown_modality(tree):
    with pytest.raises(InputError, match="modality must be one of 'color', 'color-d', 'hha', 'color-hha'; got 'rgb'"):
        build("nyud", tree[0], modality="rgb")


def test_files_that_do_not_fit_are_named(tree, rng):
    root, folder, written = tree
    depth = written["5003"]["depth"].copy()
    depth[0, :3] = 0
    Image.fromarray(depth).save(folder / "data/depth/img_5003.png")
    with pytest.raises(InputError, match=r"depth.img_5003\.png has 3 pixels without a depth"):
        NYUD(root, modality="color-d")[0]
    trees.picture(folder / "data/depth/img_5003.png", rng)
    with pytest.raises(InputError, match=r"img_5003\.png is a RGB picture; a depth map must be grey"):
        NYUD(root, modality="color-d")[0]
    trees.picture(folder / "data/hha/img_5003.png", rng, size=(40, 47))
    with pytest.raises(InputError, match=r"differ in size: 40x48 and 40x47 pixels"):
        NYUD(root, modality="color-hha")[0]
    (folder / "data/images/img_5003.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"img_5003\.png cannot be read as a picture"):
        NYUD(root)[0]
    trees.mat(folder / "segmentation/img_5001.mat", matfile.array(np.full(trees.SIZE, 41, np.uint8), "segmentation"))
    with pytest.raises(InputError, match=r"img_5001\.mat \(its numbers minus 1\) contain the id 40"):
        NYUD(root)[1]
