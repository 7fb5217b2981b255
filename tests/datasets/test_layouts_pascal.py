"""PASCAL VOC, SBD and PASCAL-Context as they lie on people's disks, beside what the published loaders read."""

import shutil

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import SBD, VOC, PascalContext, build, splits
from fcn_from_scratch.datasets.pascal import CLASSES, seg11valid

SIZE = (6, 9)
CONTEXT = [
    "aeroplane",
    "bag",
    "bed",
    "bedclothes",
    "bench",
    "bicycle",
    "bird",
    "boat",
    "book",
    "bottle",
    "building",
]  # of OpenMMLab's order


def picture(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(256, size=(*SIZE, 3), dtype=np.uint8)).save(path)


def labels(path, rng, most=21):
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = rng.integers(most, size=SIZE).astype(np.uint8)
    Image.fromarray(ids).save(path)
    return ids


def lines(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def kit(folder, rng, labelled="SegmentationClass", **lists):
    """A year's folder. Returns: the labels by name."""
    written = {}
    for split, names in lists.items():
        lines(folder / "ImageSets" / "Segmentation" / f"{split}.txt", *names)
        for name in names:
            picture(folder / "JPEGImages" / f"{name}.jpg", rng)
            written[name] = labels(folder / labelled / f"{name}.png", rng)
    return written


def check(dataset, written):
    """The pixels that Image.open gives, and the ids that were written."""
    for index, sample in enumerate(dataset):
        np.testing.assert_array_equal(sample.image, np.array(Image.open(dataset.pairs[index][1])))
        np.testing.assert_array_equal(sample.labels, written[sample.name])
    assert len(dataset)


def lower(folder):
    """Write every name below a folder in small letters."""
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))


# --- VOC ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        *(".", "VOC2012", "VOCdevkit/VOC2012", "VOCtrainval_11-May-2012/VOCdevkit/VOC2012"),
        *("VOCtrainval_25-May-2011/TrainVal/VOCdevkit/VOC2011", "VOC/VOCdevkit/VOC2012", "pascal/VOC2012"),
        *("vocdevkit/voc2012", "VOCtrainval_11-May-2012/VOC2012"),
    ],
)
def test_voc_is_found_where_its_archives_unpack(tmp_path, rng, place):
    written = kit(tmp_path / place, rng, val=["2007_000001", "2007_000002"])
    dataset = VOC(tmp_path, "val")
    assert dataset.folder == tmp_path / place
    check(dataset, written)


def test_voc_in_small_letters(tmp_path, rng):
    written = kit(tmp_path / "VOCdevkit/VOC2012", rng, train=["2007_000001"], val=["2007_000002"])
    lower(tmp_path)
    for split in ("train", "val"):
        check(VOC(tmp_path, split), written)
    (image,) = (tmp_path / "vocdevkit/voc2012/jpegimages").glob("*01.jpg")
    image.rename(image.with_suffix(".JPG"))
    check(VOC(tmp_path, "train"), written)


def test_voc_through_links(tmp_path, rng):
    """The parts of a kit, a year and the root may be links."""
    written = kit(tmp_path / "disk/2012", rng, val=["2007_000001"])
    (tmp_path / "data/VOCdevkit").mkdir(parents=True)
    (tmp_path / "data/VOCdevkit/VOC2012").symlink_to(tmp_path / "disk/2012", target_is_directory=True)
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    shutil.move(tmp_path / "disk/2012/JPEGImages", tmp_path / "photos")
    (tmp_path / "disk/2012/JPEGImages").symlink_to(tmp_path / "photos", target_is_directory=True)
    for root in ("data", "link", "link/VOCdevkit/VOC2012"):
        check(VOC(tmp_path / root, "val"), written)


@pytest.mark.parametrize("name", ["VOC2012_orig", "VOC2012.bak", "VOC20122", "VOC2012 (copy)", "VOC2099x", "myVOC2013"])
def test_only_voc20nn_is_a_year(tmp_path, rng, name):
    written = kit(tmp_path / "VOCdevkit/VOC2012", rng, val=["2007_000001"])
    kit(tmp_path / "VOCdevkit" / name, rng, val=["2007_000009"])
    dataset = VOC(tmp_path, "val")
    assert dataset.folder.name == "VOC2012"
    check(dataset, written)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train_aug", "/JPEGImages/{}.jpg /SegmentationClassAug/{}.png"),
        ("train_aug", "{}"),
        ("trainaug", "{}"),
        ("mine", "JPEGImages/{}.jpg SegmentationClassAug/{}.png"),
    ],
)
def test_lists_of_the_augmented_labels(tmp_path, rng, name, line):
    """2008_2 is SBD's: it has augmented labels only. Of 2007_1 the two labels differ."""
    folder = tmp_path / "VOCdevkit/VOC2012"
    plain = kit(folder, rng, train=["2007_1"])
    more = kit(folder, rng, "SegmentationClassAug", x=["2007_1", "2008_2"])
    lines(folder / f"ImageSets/Segmentation/{name}.txt", *(line.format(stem, stem) for stem in ("2007_1", "2008_2")))
    assert not np.array_equal(plain["2007_1"], more["2007_1"])
    check(VOC(tmp_path, name), more)
    if name.startswith("train"):
        check(VOC(tmp_path, {"train_aug": "trainaug", "trainaug": "train_aug"}[name]), more)
    check(VOC(tmp_path, "train"), plain)


def test_a_list_leads_to_no_folder_outside_the_kit(tmp_path, rng):
    written = kit(tmp_path / "VOCdevkit/VOC2012", rng, val=["2007_1"])
    labels(tmp_path / "VOCdevkit/2007_1.png", rng)
    for line in ("2007_1 ../2007_1.png", "../../2007_1.jpg ..\\2007_1.png", f"2007_1 {tmp_path}/VOCdevkit/2007_1.png"):
        lines(tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", line)
        check(VOC(tmp_path, "val"), written)


def test_a_kit_with_augmented_labels_alone(tmp_path, rng):
    written = kit(tmp_path / "VOC2012", rng, "SegmentationClassAug", val=["2007_1"])
    check(VOC(tmp_path, "val"), written)


# --- seg11valid ---------------------------------------------------------------------------------------------------

VAL = ["2007_1", "2008_2", "2008_3", "2009_4"]


@pytest.fixture
def both(tmp_path, rng):
    kit(tmp_path / "VOCdevkit/VOC2011", rng, val=VAL)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        *("{}", "{}.jpg", "{}.mat", "img/{}.jpg cls/{}.mat", "/dataset/img/{}.jpg\t/dataset/cls/{}.mat", "{} 1"),
        *("dataset\\img\\{}.jpg", "{}.JPG", "{}  "),
    ],
)
@pytest.mark.parametrize("place", ["benchmark_RELEASE/dataset", "dataset", "SBD", "VOC_aug", "VOC_aug/dataset", "sbd"])
def test_the_stems_of_both_lists_are_compared(both, line, place):
    trained_on = ["2008_2", "2009_4", "2008_9"]
    lines(both / place / "train.txt", *(line.replace("{}", name) for name in trained_on))
    (both / place / "cls").mkdir()
    assert [sample.name for sample in VOC(both, "seg11valid")] == ["2007_1", "2008_3"]


@pytest.mark.parametrize("names", [["2008_77"], ["2008_000002"], ["0 2008_2", "1 2009_4"]])
def test_lists_without_a_name_in_common_are_refused(both, names):
    lines(both / "SBD/train.txt", *names)
    (both / "SBD/cls").mkdir()
    with pytest.raises(InputError, match=r"seg11valid: none of the 4 names of VOC 2011's val is in .*train\.txt"):
        VOC(both, "seg11valid")


def test_sbd_is_told(both, tmp_path_factory):
    for place in (".", "SBD", "benchmark_RELEASE/dataset"):
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        lines(elsewhere / place / "train.txt", "2008_2")
        (elsewhere / place / "cls").mkdir()
        dataset = build("voc", both, "seg11valid", sbd=elsewhere)
        assert [sample.name for sample in dataset] == ["2007_1", "2008_3", "2009_4"]


def test_sbds_list_alone_will_do(both, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    lines(folder / "train.txt", "2008_2.mat")
    assert [sample.name for sample in VOC(both, "seg11valid", sbd=folder)] == ["2007_1", "2008_3", "2009_4"]


def test_sbd_is_sought_around_a_link(both, tmp_path, tmp_path_factory):
    far = tmp_path_factory.mktemp("far")
    (far / "VOC2011").symlink_to(both / "VOCdevkit/VOC2011", target_is_directory=True)
    lines(both / "SBD/train.txt", "2007_1")
    (both / "SBD/cls").mkdir()
    assert [sample.name for sample in VOC(far / "VOC2011", "seg11valid")] == VAL[1:]


def test_the_published_list_where_there_are_no_lists(tmp_path):
    """VOC 2012 has the pictures of 2011. Without the lists, the published list needs all its 736 pictures."""
    names = splits.SEG11VALID
    assert len(set(names)) == len(names) == 736
    assert [*names] == sorted(names)
    folder = tmp_path / "VOCdevkit/VOC2012"
    for name in names:
        for path in (folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert [name for name, *_ in VOC(tmp_path, "seg11valid").pairs] == [*names]
    assert seg11valid(folder) == [*names]
    with pytest.raises(InputError, match="needs VOC2011/"):
        VOC(tmp_path, "seg11valid", sbd=tmp_path)  # the wish to use these lists is not dropped
    (folder / "SegmentationClass" / f"{names[5]}.png").unlink()
    with pytest.raises(InputError, match="needs VOC2011/"):
        VOC(tmp_path, "seg11valid")


# --- SBD ----------------------------------------------------------------------------------------------------------


def sbd_mat(path, ids):
    """A file as SBD's authors write it, by SciPy: a struct with a cell array of sparse boundaries beside the labels."""
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy writes these files")
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy writes these files")
    boundaries = np.empty((20, 1), object)
    for number in range(20):
        boundaries[number, 0] = sparse.csc_matrix((ids == number + 1).astype(float))
    fields = {"Boundaries": boundaries, "Segmentation": ids, "CategoriesPresent": np.array([[1.0, 2.0]])}
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, {"GTcls": fields}, do_compression=True)
    published = scipy_io.loadmat(path)["GTcls"][0]["Segmentation"][0].astype(np.uint8)
    np.testing.assert_array_equal(published, ids)


@pytest.mark.parametrize("kind", ["mat", "png"])
@pytest.mark.parametrize("place", [".", "SBD", "VOC_aug", "VOC_aug/dataset", "benchmark_RELEASE/dataset", "dataset"])
def test_sbd_is_found(tmp_path, rng, place, kind):
    written = {}
    for split, name in (("train", "2008_000002"), ("val", "2008_000003")):
        picture(tmp_path / place / f"img/{name}.jpg", rng)
        lines(tmp_path / place / f"{split}.txt", f"{name}.jpg")
        path = tmp_path / place / f"cls/{name}.{kind}"
        written[name] = labels(path, rng) if kind == "png" else rng.integers(21, size=SIZE).astype(np.uint8)
        if kind == "mat":
            sbd_mat(path, written[name])
    for split in ("train", "val"):
        dataset = SBD(tmp_path, split)
        assert dataset.folder == tmp_path / place
        check(dataset, written)


# --- PASCAL-Context -----------------------------------------------------------------------------------------------


def context(root, rng, folder, ending=".png", most=60, lists="Main"):
    """VOC 2010's folder, and labels in `folder`. Returns: the numbers by name."""
    kit_folder, written = root / "VOCdevkit/VOC2010", {}
    for split, name in (("train", "2008_000002"), ("val", "2008_000003")):
        lines(kit_folder / f"ImageSets/{lists}/{split}.txt", name)
        picture(kit_folder / f"JPEGImages/{name}.jpg", rng)
        written[name] = labels(folder / f"{name}{ending}", rng, most)
    return written


@pytest.mark.parametrize(
    "place", ["59_context_labels", "pascal-context/59_context_labels", "VOCdevkit/59_context_labels"]
)
def test_the_authors_59_classes(tmp_path, rng, place):
    written = context(tmp_path, rng, tmp_path / place)
    for split in ("train", "val"):
        dataset = build("pascalcontext", tmp_path, split)
        assert dataset.num_classes == 60
        check(dataset, written)


@pytest.mark.parametrize("place", ["33_context_labels", "pascal-context/33_context_labels/33_context_labels"])
def test_the_authors_33_classes(tmp_path, rng, place):
    """0 is the background here too; the 20 classes of VOC come first, then 13 of surfaces."""
    written = context(tmp_path, rng, tmp_path / place, most=34)
    dataset = build("pascalcontext", tmp_path, "val", num_classes=34)
    assert dataset.num_classes == 34
    assert dataset.classes[:21] == CLASSES
    assert dataset.classes[21:] == tuple(
        [
            "sky",
            "grass",
            "ground",
            "road",
            "building",
            "tree",
            "water",
            "mountain",
            "wall",
            "floor",
            "track",
            "keyboard",
            "ceiling",
        ]
    )
    check(dataset, written)
    with pytest.raises(InputError, match=r"there is no folder .*trainval"):
        build("pascalcontext", tmp_path, "val")
    with pytest.raises(InputError, match=r"pascalcontext has 60 \(59 and the background\) or 34 .*says 21"):
        build("pascalcontext", tmp_path, "val", num_classes=21)


@pytest.mark.parametrize("lists", ["SegmentationContext", "Main"])
def test_openmmlabs_tree(tmp_path, rng, lists):
    """Its classes are in alphabetical order of the 459 names: bedclothes is 4 there and bedcloth, 52, here."""
    written = context(tmp_path, rng, tmp_path / "VOCdevkit/VOC2010/SegmentationClassContext", lists=lists)
    dataset = PascalContext(tmp_path, "val")
    (sample,) = dataset
    numbers = written["2008_000003"]
    assert (sample.labels[numbers == 0] == 0).all()
    for number, name in enumerate(CONTEXT, start=1):
        ours = dataset.classes.index({"bedclothes": "bedcloth"}.get(name, name))
        assert (sample.labels[numbers == number] == ours).all()
    order = [int(sample.labels[numbers == number][0]) for number in np.unique(numbers)]
    assert len(set(order)) == len(order)
    with pytest.raises(InputError, match="33_context_labels"):
        PascalContext(tmp_path, "val", num_classes=34)


def test_the_459_numbers_come_first(tmp_path, rng):
    """Beside trainval/ the PNG files are not read: the published loader reads the .mat files."""
    scipy_io = pytest.importorskip("scipy.io", reason="SciPy writes these files")
    context(tmp_path, rng, tmp_path / "59_context_labels")
    (tmp_path / "trainval").mkdir()
    numbers = {number: name for name, number in trees.CONTEXT_NAMES.items()}
    lines(tmp_path / "labels.txt", *(f"{number}: {name}" for number, name in sorted(numbers.items())))
    values = rng.choice([0, 2, 397, 454, 458], SIZE).astype(np.uint16)
    scipy_io.savemat(tmp_path / "trainval/2008_000003.mat", {"LabelMap": values})
    expected = np.zeros(SIZE, np.uint8)
    dataset = PascalContext(tmp_path, "val")
    for number, name in ((2, "aeroplane"), (397, "diningtable"), (454, "window"), (458, "wood")):
        expected[values == number] = dataset.classes.index(name)
    np.testing.assert_array_equal(dataset[0].labels, expected)
