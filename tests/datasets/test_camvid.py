"""The reader of CamVid, on a folder made here, with and without lists, and on the real data where a machine has it."""

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import CamVid, camvid, count_ids


@pytest.fixture
def scenes(tmp_path, pair):
    for split, stems in (("train", "ab"), ("val", "c"), ("test", "d")):
        for seed, stem in enumerate(stems):
            pair(tmp_path / split, tmp_path / f"{split}annot", stem, ids=range(12), seed=seed)
    return tmp_path


def test_unlabelled_becomes_ignore(scenes):
    with Image.open(scenes / "trainannot" / "a.png") as picture:
        stored = np.asarray(picture)
    labels = CamVid(scenes)[0].labels
    assert (stored == 11).any()
    np.testing.assert_array_equal(labels == 255, stored == 11)
    np.testing.assert_array_equal(labels[stored < 11], stored[stored < 11])


def test_without_lists_the_folder_is_read(scenes):
    assert [s.name for s in CamVid(scenes)] == ["a", "b"]
    assert [s.name for s in CamVid(scenes, "val")] == ["c"]
    assert [s.name for s in CamVid(scenes, "test")] == ["d"]


@pytest.mark.parametrize("prefix", ["/SegNet/CamVid/", "", "C:/data/"])
def test_lists_are_followed_whatever_their_prefix(scenes, prefix):
    lines = [f"{prefix}train/{stem}.png {prefix}trainannot/{stem}.png\n" for stem in "ba"]
    (scenes / "train.txt").write_text("".join(lines))
    assert [s.name for s in CamVid(scenes)] == ["b", "a"]


def test_the_root_is_found_from_above(scenes, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    scenes.rename(above / "CamVid")
    assert len(CamVid(above)) == 2


def test_what_is_wrong_is_named(scenes):
    (scenes / "valannot" / "c.png").unlink()
    with pytest.raises(InputError, match=r"missing \(1\): .*valannot.c\.png"):
        CamVid(scenes, "val")
    (scenes / "test.txt").write_text("test/d.png\n")
    with pytest.raises(InputError, match=r"test\.txt .*not a picture and its labels: test/d\.png"):
        CamVid(scenes, "test")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere.train"):
        CamVid(scenes / "nowhere")
    with pytest.raises(ValueError, match="split"):
        CamVid(scenes, "trainval")


def test_colours_and_weights_belong_to_the_classes(scenes):
    dataset = CamVid(scenes)
    assert dataset.num_classes == len(camvid.CLASS_WEIGHTS) == 11
    palette = dict(zip(dataset.classes, dataset.palette.tolist()))
    assert palette["Sky"] == [128, 128, 128]
    assert palette["Bicyclist"] == [0, 128, 192]
    weights = dict(zip(dataset.classes, camvid.CLASS_WEIGHTS))
    assert min(weights, key=weights.get) == "Road"
    assert max(weights, key=weights.get) == "SignSymbol"


def test_the_real_data(real_camvid):
    """Sizes and pixel shares as counted independently from the published files."""
    train, val = CamVid(real_camvid, "train"), CamVid(real_camvid, "val")
    assert (len(train), len(val)) == (367, 101)
    assert not {s[0] for s in train.pairs} & {s[0] for s in val.pairs}
    assert train[0].image.shape == (360, 480, 3)
    counts = count_ids(train)
    share = 100 * counts / counts.sum()
    published = [16.9, 23.3, 1.0, 31.7, 4.5, 9.7, 1.2, 1.1, 5.9, 0.6, 0.3]
    np.testing.assert_allclose(share[:11], published, atol=0.06)
    assert share[255] == pytest.approx(3.95, abs=0.01)
