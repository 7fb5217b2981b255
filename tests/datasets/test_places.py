"""Folders are found whatever the case of their names, and every reader lists the same pictures of a folder."""

import matfile
import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import CamVid, Folder, SIFTFlow, build
from fcn_from_scratch.datasets.lists import on_disk, read_names
from fcn_from_scratch.datasets.places import inside, pictures


@pytest.fixture
def case_matters(tmp_path):
    """Skip where the file system takes a.txt and A.txt for one file."""
    (tmp_path / "case").mkdir()
    if (tmp_path / "CASE").exists():
        pytest.skip("names of files differ here in more than their case")
    (tmp_path / "case").rmdir()


def save(path, size=(8, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_an_exact_name_is_preferred_and_another_case_will_do(tmp_path, case_matters):
    for name in ("ImageSets/Main", "JPEGIMAGES"):
        (tmp_path / name).mkdir(parents=True)
    assert inside(tmp_path, "imagesets/MAIN") == tmp_path / "ImageSets" / "Main"
    assert inside(tmp_path, "JPEGImages") == tmp_path / "JPEGIMAGES"
    (tmp_path / "JPEGImages").mkdir()
    assert inside(tmp_path, "JPEGImages") == tmp_path / "JPEGImages"
    assert inside(tmp_path, "jpegimages") is None  # two names fit: neither is taken
    assert inside(tmp_path, "gone/Main") is None
    assert inside(tmp_path / "gone", "Main") is None


def test_a_link_is_followed(tmp_path):
    (tmp_path / "far" / "Deep").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far", target_is_directory=True)
    assert inside(tmp_path, "near/deep") == tmp_path / "near" / "Deep"


def test_pictures_of_any_case_and_no_hidden_files(tmp_path):
    for name in ("b.JPG", "a.jpg", "c.Png", "._a.jpg", ".hidden.png"):
        save(tmp_path / name) if not name.startswith("._") else (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "notes.txt").write_text("no picture")
    assert {stem: path.name for stem, path in pictures(tmp_path).items()} == {
        "a": "a.jpg",
        "b": "b.JPG",
        "c": "c.Png",
    }
    assert [*pictures(tmp_path, {".png"})] == ["c"]
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png have the same stem"):
        pictures(tmp_path)


def test_the_only_file_of_another_case_is_taken(tmp_path, case_matters):
    for name in ("X.JPG", "y.png", "Y.png"):
        (tmp_path / name).touch()
    wanted = [("x", tmp_path / "X.jpg", tmp_path / "y.png")]
    assert on_disk(wanted) == [("x", tmp_path / "X.JPG", tmp_path / "y.png")]
    ambiguous = [("x", tmp_path / "Y.PNG")]
    assert on_disk(ambiguous) == ambiguous


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a.jpg",
        "a.JPG",
        "img/a.jpg cls/a.mat",
        r"dataset\img\a.jpg",
        "/JPEGImages/a.jpg /Labels/a.png",
        "a 1",
        "a -1",
    ],
)
def test_the_stem_of_a_line(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"{line}\nb\n")
    assert read_names(tmp_path / "list.txt") == ["a", "b"]


# --- the readers that list folders --------------------------------------------------------------------------------


def siftflow(root):
    rng = np.random.default_rng(0)
    folder, _ = trees.siftflow(root, rng, test=["coast_1"], others=["coast_2", "coast_3"])
    return SIFTFlow, folder, folder / "Images" / trees.SCENES, ["coast_2", "coast_3"], "coast_2.jpg"


def camvid(root):
    for stem in "ab":
        save(root / "train" / f"{stem}.png")
        save(root / "trainannot" / f"{stem}.png", mode="L")
    return CamVid, root, root / "train", ["a", "b"], "a.png"


def folder(root):
    for stem in "abcdef":
        save(root / "images" / f"{stem}.jpg")
        save(root / "labels" / f"{stem}.png")
        Image.fromarray(np.eye(6, 8, dtype=np.uint8)).save(root / "labels" / f"{stem}.png")
    return Folder, root, root / "images", ["a", "b", "c", "d", "f"], "a.jpg"


@pytest.mark.parametrize("make", [siftflow, camvid, folder])
def test_every_reader_takes_endings_in_capitals_and_leaves_hidden_files(tmp_path, make):
    reader, root, images, names, first = make(tmp_path)
    (images / first).rename(images / first.upper().replace(first.split(".")[0].upper(), first.split(".")[0]))
    (images / f"._{first}").write_bytes(b"\0\5\x16\7 AppleDouble")
    dataset = reader(root)
    assert [dataset[i].name for i in range(len(dataset))] == names


def lower(folder):
    """Write every name below a folder in small letters."""
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        if path.name != path.name.lower():
            path.rename(path.with_name(path.name.lower()))


MADE = {
    "voc": lambda root, rng: trees.voc(root, rng, train=["2007_1"], val=["2007_2"]),
    "sbd": lambda root, rng: trees.sbd(root, rng, train=["2008_1"], val=["2008_2"]),
    "nyud": lambda root, rng: trees.nyud(root, rng, train=["5003"], val=["5010"], test=["5001"]),
    "siftflow": lambda root, rng: trees.siftflow(root, rng, test=["coast_1"], others=["coast_2"]),
    "pascalcontext": lambda root, rng: trees.pascalcontext(root, rng, train=["2008_1"], val=["2008_2"]),
}


@pytest.mark.parametrize("change", ["small letters", "a link", "links to all parts"])
@pytest.mark.parametrize("name", MADE)
def test_a_dataset_reads_the_same(tmp_path, rng, name, change):
    """In small letters, through a link to its folder, and with each folder a link to another disk."""
    data, disk = tmp_path / "data", tmp_path / "disk"
    MADE[name](data, rng)
    before = [[*build(name, data, split)] for split in ("train", "val")]
    if change == "small letters":
        lower(data)
    elif change == "a link":
        data.rename(disk)
        data.symlink_to(disk, target_is_directory=True)
    else:
        disk.mkdir()
        parts = sorted((path for path in data.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
        for number, part in enumerate(parts):
            part.rename(disk / str(number))
            part.symlink_to(disk / str(number), target_is_directory=True)
    after = [[*build(name, data, split)] for split in ("train", "val")]
    assert [len(samples) for samples in after] == [1, 1]
    for one, other in zip((sample for samples in before for sample in samples), (s for ss in after for s in ss)):
        assert one.name == other.name
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["camvid", "nyud"])
def test_other_data_beside_a_dataset_are_not_taken_for_it(tmp_path, rng, name):
    """data/ holds images/ and labels/ of somebody's own, and the dataset in a folder of its name."""
    folder(tmp_path)
    if name == "nyud":
        _, written = trees.nyud(tmp_path, rng, train=["5003"])
        expected = [("5003", written["5003"]["numbers"] - np.uint8(1))]
    else:
        camvid(tmp_path / "CamVid")
        expected = [("a", np.zeros((6, 8), np.uint8)), ("b", np.zeros((6, 8), np.uint8))]
    dataset = build(name, tmp_path)
    assert dataset.folder.name.lower() == name
    assert [sample.name for sample in dataset] == [one for one, _ in expected]
    for sample, (_, labels) in zip(dataset, expected):
        np.testing.assert_array_equal(sample.labels, labels)


def test_siftflow_excludes_test_names_of_another_case(tmp_path):
    _, root, *_ = siftflow(tmp_path)
    (root / "test.txt").write_text("SCENES\\COAST_1.JPG\n")
    assert [sample.name for sample in SIFTFlow(root)] == ["coast_2", "coast_3"]


@pytest.mark.parametrize("lines", ["beach_1\nbeach_2\n", "1 coast_1\n2 coast_2\n"])
def test_siftflow_does_not_train_on_the_test_set(tmp_path, lines):
    """A list whose names match nothing would leave no picture out."""
    _, root, *_ = siftflow(tmp_path)
    (root / "test.txt").write_text(lines)
    with pytest.raises(InputError, match=r"none of the 2 names of the test set, such as \w+, is a picture in .*Images"):
        SIFTFlow(root)


def test_siftflows_own_list(tmp_path):
    _, root, *_ = siftflow(tmp_path)
    (root / "test.txt").unlink()
    for place in ("TestSet1.txt", "Images/TestSet1.txt"):
        (root / place).write_bytes(f"{trees.SCENES}\\coast_3.jpg\r\n".encode())
        assert [sample.name for sample in SIFTFlow(root, "test")] == ["coast_3"]
        assert [sample.name for sample in SIFTFlow(root)] == ["coast_1", "coast_2"]
        (root / place).unlink()


def test_siftflow_without_the_folder_of_scenes(tmp_path):
    """The files may lie in Images/ and the others themselves, or below a folder of another name."""
    _, root, *_ = siftflow(tmp_path)
    for kind in ("Images", "SemanticLabels", "GeoLabels"):
        (root / kind / trees.SCENES).rename(root / kind / "scenes")
    assert [sample.name for sample in SIFTFlow(root)] == ["coast_2", "coast_3"]
    for kind in ("Images", "SemanticLabels", "GeoLabels"):
        for path in (root / kind / "scenes").iterdir():
            path.rename(root / kind / path.name)
        (root / kind / "scenes").rmdir()
    assert [sample.name for sample in SIFTFlow(root)] == ["coast_2", "coast_3"]
    assert len(SIFTFlow(root, "test")[0].labels) == 2


def test_256_in_a_mat_file_is_no_void(tmp_path):
    """Less one it looks like 255, which means ignore."""
    _, root, *_ = siftflow(tmp_path)
    for folder_name, first_class in (("SemanticLabels", 1), ("GeoLabels", 1)):
        path = root / folder_name / trees.SCENES / "coast_2.mat"
        kept = path.read_bytes()
        numbers = np.full(trees.SIZE, first_class, np.int16)
        numbers[3, 4] = 256
        path.write_bytes(matfile.file(matfile.array(numbers, "S")))
        with pytest.raises(InputError, match=r"coast_2\.mat contains the number 256, which is no class and no void"):
            SIFTFlow(root)[0]
        path.write_bytes(kept)
