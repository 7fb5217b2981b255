"""NYUDv2 in its authors' HDF5 file, in the data of Gupta et al., and as trees of PNG files."""

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import NYUD, splits

SIZE = (7, 9)
COUNT = 14  # pictures 5001 to 5014


@pytest.fixture(scope="module")
def scipy_io():
    return pytest.importorskip("scipy.io", reason="SciPy writes the map of the classes")


@pytest.fixture(scope="module")
def h5py():
    return pytest.importorskip("h5py", reason="h5py writes HDF5 files")


def class_map(path, scipy_io, rng, variable="mapClass"):
    """The class of each of the 894 numbers, as classMapping40.mat has it: a row of doubles. Returns: those 894."""
    classes = rng.integers(1, 41, size=894)
    names = np.array([f"kind {number}" for number in range(894)], object)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, {"allClassName": names, variable: classes[None].astype(float), "className": names[:40]})
    return classes


@pytest.fixture
def one_file(tmp_path, rng, h5py, scipy_io):
    """nyu_depth_v2_labeled.mat as MATLAB saves it. Returns: (its folder, what it holds in MATLAB's order, the map)."""
    held = {
        "images": rng.integers(256, size=(*SIZE, 3, COUNT), dtype=np.uint8),
        "depths": rng.uniform(0.7, 9.9, size=(*SIZE, COUNT)).astype(np.float32),
        "labels": rng.integers(895, size=(*SIZE, COUNT)).astype(np.uint16),
    }
    write(tmp_path / "nyu_depth_v2_labeled.mat", held, h5py)
    return tmp_path, held, class_map(tmp_path / "classMapping40.mat", scipy_io, rng)


def write(path, held, h5py):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in held.items():
            pieces = (1, *values.T.shape[1:])
            file.create_dataset(name, data=values.T, chunks=pieces, compression="gzip")
        names = file.create_dataset("names", (1, 2), dtype=h5py.ref_dtype)  # a cell array of strings, to step over
        for number, text in enumerate(("wall", "floor")):
            word = file.create_dataset(f"#refs#/{number}", data=np.array([[ord(c)] for c in text], np.uint16))
            word.attrs["MATLAB_class"] = np.bytes_("char")
            names[0, number] = word.ref
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(head)


def expected_labels(numbers, classes):
    """The published loader's uint8(class) - 1, 0 being void."""
    padded = np.concatenate([[0], classes])
    return padded[numbers].astype(np.uint8) - np.uint8(1)


def test_the_authors_file(one_file):
    """Pictures and labels have MATLAB's rows and columns, and the published splits go by number."""
    folder, held, classes = one_file
    assert NYUD(folder).folder == folder
    names = {split: [sample.name for sample in NYUD(folder, split)] for split in ("train", "val", "trainval", "test")}
    assert names["train"] == ["5003", "5004", "5005", "5006", "5007", "5008"]
    assert names["val"] == ["5010", "5011", "5012", "5013"]
    assert names["trainval"] == names["train"] + names["val"]
    assert names["test"] == ["5001", "5002", "5009", "5014"]
    for split in names:
        for sample in NYUD(folder, split):
            at = int(sample.name) - 5001
            np.testing.assert_array_equal(sample.image, held["images"][..., at])
            np.testing.assert_array_equal(sample.labels, expected_labels(held["labels"][..., at], classes))
            assert (sample.image.dtype, sample.labels.dtype) == (np.uint8, np.uint8)


def test_depth_of_the_authors_file(one_file):
    """The file has metres; the published networks see the logarithm of millimetres less 7.844."""
    folder, held, _ = one_file
    dataset = NYUD(folder, "test", modality="color-d")
    np.testing.assert_allclose(
        dataset[1].image[:, :, 3], np.log(1000 * held["depths"][..., 1].astype(float)), rtol=1e-6
    )
    np.testing.assert_array_equal(dataset[1].image[:, :, :3], held["images"][..., 1])
    x = dataset.preprocess(dataset[1].image)
    assert abs(x[3]).max() < 2


@pytest.mark.parametrize("modality", ["hha", "color-hha"])
def test_the_authors_file_has_no_hha(one_file, modality):
    with pytest.raises(InputError, match=r"nyu_depth_v2_labeled\.mat holds no HHA"):
        NYUD(one_file[0], modality=modality)


def test_full_size_maps_are_cut_to_guptas_window(tmp_path, rng, h5py, scipy_io):
    """I(46:470, 41:600, :), which the paper's networks were trained on."""
    held = {
        "images": rng.integers(256, size=(480, 640, 3, 3), dtype=np.uint8),
        "depths": rng.uniform(1, 9, size=(480, 640, 3)).astype(np.float32),
        "labels": rng.integers(895, size=(480, 640, 3)).astype(np.uint16),
    }
    write(tmp_path / "nyu_depth_v2_labeled.mat", held, h5py)
    classes = class_map(tmp_path / "classMapping40.mat", scipy_io, rng)
    sample = NYUD(tmp_path, modality="color-d")[0]
    assert sample.image.shape == (425, 560, 4)
    np.testing.assert_array_equal(sample.image[:, :, :3], held["images"][45:470, 40:600, :, 2])
    np.testing.assert_array_equal(sample.labels, expected_labels(held["labels"][45:470, 40:600, 2], classes))


@pytest.mark.parametrize(
    ("place", "variable"),
    [
        *(("classMapping40.mat", "mapClass"), ("benchmarkData/metadata/classMapping40.mat", "mapClass")),
        ("nyuv2_40class_mapping.mat", "mapping"),
    ],
)
def test_where_the_map_lies(one_file, rng, scipy_io, place, variable):
    folder, held, _ = one_file
    (folder / "classMapping40.mat").unlink()
    classes = class_map(folder / place, scipy_io, rng, variable)
    np.testing.assert_array_equal(NYUD(folder)[0].labels, expected_labels(held["labels"][..., 2], classes))


def test_without_the_map_its_file_is_asked_for(one_file):
    (one_file[0] / "classMapping40.mat").unlink()
    with pytest.raises(InputError, match=r"needs classMapping40\.mat, which maps the 894 numbers"):
        NYUD(one_file[0])


def test_a_list_beside_the_file_is_followed(one_file):
    trees.lines(one_file[0] / "mine.txt", "5002", "img_5009.png")
    assert [sample.name for sample in NYUD(one_file[0], "mine")] == ["5002", "5009"]
    with pytest.raises(InputError, match="has the splits train, val, trainval, test; split is other"):
        NYUD(one_file[0], "other")


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("labels", lambda values: values + np.uint16(1), r"holds the number 895; the map of classes ends at 894"),
        ("labels", lambda values: values.astype(np.float32), r"labels holds float32, not whole numbers"),
        ("images", lambda values: values.astype(np.uint16), r"images holds uint16; pictures have 8 bits"),
        ("images", lambda values: values[:, :, :2], r"images has shape \(7, 9, 2, 14\)"),
        ("labels", lambda values: values[..., :2], r"labels has shape \(7, 9, 2\) and no picture 5003"),
        ("labels", lambda values: values[:5], r"is 7x9 pixels but .* is 5x9"),
    ],
)
def test_other_arrays_are_refused(one_file, h5py, name, change, complaint):
    folder, held, _ = one_file
    held["labels"][...] = 894
    held[name] = change(held[name])
    write(folder / "nyu_depth_v2_labeled.mat", held, h5py)
    with pytest.raises(InputError, match=complaint):
        NYUD(folder)[0]


# --- Gupta's data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["benchmarkData/groundTruth", "groundTruth"])
def test_guptas_ground_truth(tmp_path, rng, scipy_io, place):
    """groundTruth{1}.SegmentationClass holds the 894 numbers; the published code maps them to the 40 classes."""
    classes = class_map(tmp_path / "benchmarkData/metadata/classMapping40.mat", scipy_io, rng)
    for name in ("5001", "5003"):
        numbers = rng.integers(895, size=SIZE).astype(np.uint16)
        truth = np.empty((1, 1), object)
        boundaries = rng.integers(2, size=SIZE).astype(bool)
        truth[0, 0] = {"Segmentation": numbers[::-1], "Boundaries": boundaries, "SegmentationClass": numbers}
        path = tmp_path / place / f"img_{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy_io.savemat(path, {"groundTruth": truth}, do_compression=True)
        image = trees.picture(tmp_path / f"colorImage/img_{name}.png", rng, SIZE)
        trees.lines(tmp_path / "one.txt", f"img_{name}")
        sample = NYUD(tmp_path, "one")[0]
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.labels, expected_labels(numbers, classes))


# --- trees of PNG files -------------------------------------------------------------------------------------------


@pytest.fixture
def png_tree(tmp_path, rng):
    """RGB/, HHA/, Depth/ and Label/ with files 0.png, 1.png, ...; labels count from 1, and 0 is void."""
    written = {}
    for name in ("0", "1", "12"):
        colour = trees.picture(tmp_path / f"NYUDepthv2/RGB/{name}.png", rng, SIZE)
        hha = trees.picture(tmp_path / f"NYUDepthv2/HHA/{name}.png", rng, SIZE)
        numbers = rng.integers(41, size=SIZE).astype(np.uint8)
        numbers[0, 0] = 255
        (tmp_path / "NYUDepthv2/Label").mkdir(exist_ok=True)
        Image.fromarray(numbers).save(tmp_path / f"NYUDepthv2/Label/{name}.png")
        written[name] = colour, hha, numbers
    trees.lines(tmp_path / "NYUDepthv2/train.txt", "RGB/0.png\tLabel/0.png", "RGB/12.png\tLabel/12.png")
    trees.lines(tmp_path / "NYUDepthv2/test.txt", "1")
    return tmp_path, written


def test_trees_of_png_files(png_tree):
    root, written = png_tree
    assert [sample.name for sample in NYUD(root)] == ["0", "12"]
    assert [sample.name for sample in NYUD(root, "trainval")] == ["0", "12"]  # these trees have no val.txt
    assert [sample.name for sample in NYUD(root, "test")] == ["1"]
    for sample in NYUD(root, modality="color-hha"):
        colour, hha, numbers = written[sample.name]
        np.testing.assert_array_equal(sample.image, np.concatenate([colour, hha], axis=2))
        expected = numbers - np.uint8(1)
        expected[0, 0] = 255
        np.testing.assert_array_equal(sample.labels, expected)
    with pytest.raises(InputError, match=r"no list .*val\.txt"):
        NYUD(root, "val")


def test_png_labels_beyond_the_classes_are_refused(png_tree):
    root, written = png_tree
    numbers = written["0"][2]
    numbers[2, 2] = 41
    Image.fromarray(numbers).save(root / "NYUDepthv2/Label/0.png")
    with pytest.raises(InputError, match=r"0\.png contain the id 40"):
        NYUD(root)[0]


# --- the published lists ------------------------------------------------------------------------------------------


def test_the_published_splits():
    """381, 414 and 654 pictures, which are all 1,449 together."""
    train, val, test = (set(splits.NYUD[split]) for split in ("train", "val", "test"))
    assert [len(names) for names in (train, val, test)] == [381, 414, 654]
    assert {*train, *val, *test} == {str(number) for number in range(5001, 6450)}
    assert [*splits.NYUD["trainval"]] == [*splits.NYUD["train"], *splits.NYUD["val"]]
    # the first and last lines of data/nyud/train.txt and val.txt of the paper's public code
    assert {"5449", "6140", "5683", "6419"} <= train
    assert {"5010", "6440"} <= val


def test_without_lists_the_published_ones_are_taken_if_their_pictures_are_there(tmp_path):
    folder = tmp_path / "nyud"
    for split in ("train", "val", "test"):
        for name in splits.NYUD[split]:
            for path in (folder / f"data/images/img_{name}.png", folder / f"segmentation/img_{name}.mat"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    assert [len(NYUD(tmp_path, split)) for split in ("train", "val", "trainval", "test")] == [381, 414, 795, 654]
    (folder / f"data/images/img_{splits.NYUD['val'][7]}.png").unlink()
    assert len(NYUD(tmp_path, "train")) == 381
    for split in ("val", "trainval"):
        with pytest.raises(InputError, match=r"there is no list .*\.txt"):
            NYUD(tmp_path, split)
