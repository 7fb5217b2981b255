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


# --- the authors' stills ------------------------------------------------------------------------------------------

# The colours of the 32 classes, as CamVid's label_colors.txt has them, and the class that each is grouped into.
GROUPS = {
    "Sky": [(128, 128, 128)],
    "Building": [(128, 0, 0), (0, 128, 64), (64, 192, 0), (64, 0, 64), (192, 0, 128)],
    "Pole": [(192, 192, 128), (0, 0, 64)],
    "Road": [(128, 64, 128), (128, 0, 192), (192, 0, 64)],
    "Pavement": [(0, 0, 192), (64, 192, 128), (128, 128, 192)],
    "Tree": [(128, 128, 0), (192, 192, 0)],
    "SignSymbol": [(192, 128, 128), (128, 128, 64), (0, 64, 64)],
    "Fence": [(64, 64, 128)],
    "Car": [(64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)],
    "Pedestrian": [(64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)],
    "Bicyclist": [(0, 128, 192), (192, 0, 192)],
    "Void": [(0, 0, 0)],
}
STILLS = {
    "train": ["0001TP_006690", "0001TP_008520", "0006R0_f00930", "0016E5_00390", "0016E5_08640"],
    "val": ["0016E5_07959", "0016E5_08159"],
    "test": ["0001TP_008550", "0001TP_010380", "Seq05VD_f00000"],
}


def still(folder, labels, name, rng, suffix="_L"):
    """A still with every colour. Returns: its pixels and the class of each, by name."""
    colours = [(group, colour) for group, found in GROUPS.items() for colour in found]
    assert len(colours) == 32
    drawn = rng.permutation(np.resize(np.arange(32), 48)).reshape(6, 8)
    image = rng.integers(256, size=(6, 8, 3), dtype=np.uint8)
    for place in (folder, labels):
        place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{name}.png")
    Image.fromarray(np.array([colour for _, colour in colours], np.uint8)[drawn]).save(labels / f"{name}{suffix}.png")
    return image, np.array([group for group, _ in colours])[drawn]


@pytest.fixture
def stills(tmp_path, rng):
    written = {}
    for name in [name for names in STILLS.values() for name in names]:
        written[name] = still(tmp_path / "701_StillsRaw_full", tmp_path / "LabeledApproved_full", name, rng)
    return tmp_path, written


@pytest.mark.parametrize("split", STILLS)
def test_the_stills_are_split_and_grouped(stills, split):
    root, written = stills
    dataset = CamVid(root, split)
    assert [sample.name for sample in dataset] == STILLS[split]
    for sample in dataset:
        image, groups = written[sample.name]
        np.testing.assert_array_equal(sample.image, image)
        for group in GROUPS:
            expected = 255 if group == "Void" else dataset.classes.index(group)
            assert (sample.labels[groups == group] == expected).all()


def test_a_list_of_stills_is_followed(stills):
    (stills[0] / "train.txt").write_text("0016E5_08159.png\n0001TP_006690\n")
    assert [sample.name for sample in CamVid(stills[0])] == ["0016E5_08159", "0001TP_006690"]


def test_what_the_stills_lack_is_named(stills):
    root, _ = stills
    (root / "LabeledApproved_full/0001TP_006690_L.png").unlink()
    with pytest.raises(InputError, match=r"missing \(1\): .*LabeledApproved_full.0001TP_006690_L\.png"):
        CamVid(root)
    Image.new("RGB", (8, 6), (255, 69, 0)).save(root / "LabeledApproved_full/0016E5_07959_L.png")
    with pytest.raises(
        InputError, match=r"07959_L\.png has 48 pixels in colours not in the palette: first \(255, 69, 0"
    ):
        CamVid(root, "val")[0]
    Image.new("L", (8, 6)).save(root / "LabeledApproved_full/0016E5_07959_L.png")
    with pytest.raises(InputError, match=r"07959_L\.png is a L picture; its labels must be colours"):
        CamVid(root, "val")[0]
    for path in (root / "701_StillsRaw_full").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(InputError, match=r"none of the 10 stills in .* is in the split train"):
        CamVid(root)


def test_folders_of_colour_labels(tmp_path, rng):
    """train/X.png and train_labels/X_L.png, another form in which the stills are passed on."""
    image, groups = still(tmp_path / "train", tmp_path / "train_labels", "a", rng)
    (sample,) = CamVid(tmp_path)
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.labels == 255, groups == "Void")


def test_the_split_of_the_stills_is_segnets(real_camvid):
    for split, count in (("train", 367), ("val", 101)):
        names = [line.split()[0].rpartition("/")[2] for line in (real_camvid / f"{split}.txt").read_text().splitlines()]
        assert len(names) == count
        assert {camvid.still_split(name.removesuffix(".png")) for name in names} == {split}
