"""Layouts that are known without options, the facts that are kept beside the files, and Folder's own options."""

import json
import os
import time

import numpy as np
import own_trees
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Folder
from fcn_from_scratch.datasets.own import kept as kept_file
from fcn_from_scratch.datasets.own.kept import FILE, Kept
from fcn_from_scratch.lab.compare.training_plan import fingerprint


def pair(root, picture, labels, ids=(0, 1)):
    own_trees.save(root / picture, np.zeros((4, 6, 3), np.uint8))
    own_trees.save(root / labels, np.resize(np.array(ids, np.uint8), (4, 6)))


LAYOUTS = {
    "images/a.png": [
        "labels/a.png",
        "masks/a.png",
        "annotations/a.png",
        "masks/a_mask.png",
        "annotations/trimaps/a.png",
    ],
    "imgs/a.jpg": ["masks/a_mask.gif", "labels/a.png"],
    "JPEGImages/a.jpg": ["SegmentationClass/a.png", "SegmentationClassPNG/a.png"],
    "train/a.jpg": ["train_masks/a_mask.gif", "train_masks/a.png", "train/a_mask.png", "trainannot/a.png"],
    "images/training/a.jpg": ["annotations/training/a.png", "masks/training/a.png", "labels/training/a.png"],
    "train/images/a.jpg": ["train/masks/a.png", "train/labels/a.png"],
    "leftImg8bit/train/ulm/a_leftImg8bit.png": [
        "gtFine/train/ulm/a_gtFine_labelIds.png",
        "gtFine/train/ulm/a_gtFine_labelTrainIds.png",
    ],
    "a.jpg": ["a_mask.png"],
}
CASES = [(picture, labels) for picture, places in LAYOUTS.items() for labels in places]


@pytest.mark.parametrize(("picture", "labels"), CASES)
def test_known_layouts(tmp_path, picture, labels):
    pair(tmp_path, picture, labels)
    (tmp_path / "README.txt").write_text("hello")
    dataset = Folder(tmp_path, "all")
    assert [(str(pair[1].relative_to(tmp_path)), str(pair[2].relative_to(tmp_path))) for pair in dataset.pairs] == [
        (picture, labels)
    ]
    (told,) = [note for note in dataset.notes if note.startswith("taken: --images '")]
    again = Folder(tmp_path, "all", images=dataset.images, labels=dataset.labels)
    assert dataset.images in told
    assert again.pairs == dataset.pairs


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("images/a.png", "labels/a.png"), ("images/a.png", "masks/a.png")),
        (("JPEGImages/a.png", "SegmentationClass/a.png"), ("JPEGImages/a.png", "SegmentationClassPNG/a.png")),
        (("images/a.png", "masks/a.png"), ("JPEGImages/a.png", "SegmentationClass/a.png")),
        (("images/a.png", "masks/a.png"), ("images/train/a.png", "masks/train/a.png")),
        (("images/a.png", "masks/a.png"), ("images/a.png", "masks/a_mask.png")),
    ],
)
def test_two_layouts_that_fit_are_refused_by_name(tmp_path, first, second):
    pair(tmp_path, *first)
    pair(tmp_path, *second)
    with pytest.raises(InputError, match="fits more than one layout") as caught:
        Folder(tmp_path)
    for place in (*first, *second):
        assert place.partition("/")[0] in str(caught.value)
    if first[1].rpartition("/")[0] != second[1].rpartition("/")[0]:
        Folder(tmp_path, images=first[0].replace("a.", "{}."), labels=first[1].replace("a.", "{}."))


def test_labels_that_are_no_pictures_are_no_second_layout(tmp_path):
    """labelme2voc of old writes its arrays into SegmentationClass, and the pictures into SegmentationClassPNG."""
    pair(tmp_path, "JPEGImages/a.jpg", "SegmentationClassPNG/a.png")
    (tmp_path / "SegmentationClass").mkdir()
    np.save(tmp_path / "SegmentationClass" / "a.npy", np.zeros((4, 6), np.int32))
    assert Folder(tmp_path).labels == "SegmentationClassPNG/{}.*"


@pytest.mark.parametrize("other", [".npy", ".json", ".xml"])
def test_other_files_beside_the_labels_do_no_harm(tmp_path, other):
    """As ever, images/ and labels/ are pictures; a tool's own file may lie beside each."""
    pair(tmp_path, "images/a.png", "labels/a.PNG")
    (tmp_path / "labels" / f"a{other}").write_text("{}")
    dataset = Folder(tmp_path, "all")
    assert dataset.pairs[0][2].name == "a.PNG"
    assert dataset.labels == ("labels/{}.*" if other == ".xml" else "labels/{}.png")


def test_where_nothing_fits_it_is_said_what_is_there(tmp_path):
    (tmp_path / "fotos").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no folder .*images; it holds files: 1 \.txt and folders: fotos"):
        Folder(tmp_path)


def test_the_folder_above_is_noticed(tmp_path):
    pair(tmp_path, "set/images/a.png", "set/labels/a.png")
    with pytest.raises(InputError, match=rf"say --root {tmp_path}/set"):
        Folder(tmp_path)


def test_one_pattern_alone_is_refused(tmp_path):
    pair(tmp_path, "images/a.png", "labels/a.png")
    with pytest.raises(InputError, match="--images needs --labels"):
        Folder(tmp_path, images="images/{}.png")
    with pytest.raises(InputError, match="--labels needs --images"):
        Folder(tmp_path, labels="labels/{}.png")


def test_names_of_the_classes_as_a_sequence(tmp_path):
    pair(tmp_path, "images/a.png", "labels/a.png")
    assert Folder(tmp_path, classes=["ground", "tree"]).classes == ("ground", "tree")
    with pytest.raises(InputError, match="2 classes, but num_classes is 3"):
        Folder(tmp_path, classes=["ground", "tree"], num_classes=3)


def test_a_class_file_of_the_split(tmp_path):
    for split in ("train", "valid"):
        pair(tmp_path, f"{split}/a.png", f"{split}/a_mask.png")
    (tmp_path / "train" / "_classes.csv").write_text("Pixel Value, Class\n1, tree\n0, ground\n")
    for split in ("train", "val"):
        dataset = Folder(tmp_path, split)
        assert dataset.classes == ("tree", "ground")
        assert any("train/_classes.csv" in note for note in dataset.notes)
        np.testing.assert_array_equal(dataset[0].labels[0, :2], [1, 0])


def test_the_same_files_read_otherwise_are_other_data(tmp_path):
    """fcn compare keeps trained networks: those of another map must not be taken for these."""
    pair(tmp_path, "images/a.png", "labels/a.png")
    plain, again, other = (fingerprint(Folder(tmp_path, label_map=text)) for text in (None, None, "0:1,1:0"))
    assert plain == again
    assert plain != other
    assert plain != fingerprint(Folder(tmp_path, range="0:100", num_classes=2))


# --- facts that are kept ------------------------------------------------------------------------------------------


@pytest.fixture
def always(monkeypatch):
    """Keep facts however fast they were found."""
    monkeypatch.setattr(kept_file, "WORTH", 0)


def test_a_fact_is_found_once_until_the_file_changes(tmp_path, always):
    path, calls = tmp_path / "a.txt", []

    def size(path):
        calls.append(path)
        return len(path.read_text())

    def ask():
        kept = Kept(tmp_path)
        found = kept.fact("size", path, size)
        kept.save()
        return found

    path.write_text("abc")
    assert [ask(), ask(), len(calls)] == [3, 3, 1]
    path.write_text("abcd")
    assert [ask(), len(calls)] == [4, 2], "another size"
    before = path.stat()
    path.write_text("wxyz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    assert [ask(), len(calls)] == [4, 3], "another time"
    kept = Kept(tmp_path)
    assert kept.fact("first", path, lambda path: path.read_text()[0]) == "w", "another fact"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 1, "files": {"a": {"facts": 3}}}',
        b'{"format": 9, "facts": {}}',
        b"[" * 10**5,
        b"\xff",
    ],
)
def test_a_damaged_file_is_no_file(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / "a").touch()
    assert Kept(tmp_path).fact("x", tmp_path / "a", lambda path: 5) == 5


@pytest.mark.parametrize("fact", [None, -7, "x", ["a"], {"0": "many"}, {"0": -3}, {"0": None}, {"none": 1}])
def test_facts_that_somebody_edited_are_found_again(tmp_path, always, fact):
    pair(tmp_path, "images/a.png", "labels/a.png")
    Folder(tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    for known in content["files"].values():
        known["facts"] = dict.fromkeys(known["facts"], fact)
    (tmp_path / FILE).write_text(json.dumps(content))
    assert Folder(tmp_path).num_classes == 2


def test_a_label_file_that_changes_is_read_again(tmp_path, always):
    pair(tmp_path, "images/a.png", "labels/a.png")
    assert Folder(tmp_path).num_classes == 2
    pair(tmp_path, "images/a.png", "labels/a.png", (0, 1, 2))
    assert Folder(tmp_path).num_classes == 3


def test_what_was_found_is_kept_although_the_labels_are_refused(tmp_path, always):
    pair(tmp_path, "images/a.png", "masks/a.png", (0, 255))
    with pytest.raises(InputError, match=r"0:0,255:1 .*\(taken: --images 'images/\{\}\.\*' --labels 'masks/"):
        Folder(tmp_path)
    assert "masks/a.png" in (tmp_path / FILE).read_text()
    with pytest.raises(InputError) as caught:
        Folder(tmp_path, images="images/{}.png", labels="masks/{}.png")
    assert "taken" not in str(caught.value)


def test_a_folder_that_cannot_be_written_to(tmp_path, always, monkeypatch):
    pair(tmp_path, "images/a.png", "labels/a.png")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_file, "write_atomically", full)
    assert Folder(tmp_path).num_classes == 2
    assert not (tmp_path / FILE).exists()


@pytest.mark.slow
def test_five_thousand_files_open_within_two_seconds_after_the_first_time(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    picture = Image.fromarray(np.zeros((24, 32, 3), np.uint8))
    labels = Image.fromarray(np.resize(np.arange(3, dtype=np.uint8), (24, 32)))
    picture.save(tmp_path / "first.png")
    labels.save(tmp_path / "second.png")
    for place, one in (("images", tmp_path / "first.png"), ("masks", tmp_path / "second.png")):
        content = one.read_bytes()
        for number in range(2500):
            (tmp_path / place / f"{number}.png").write_bytes(content)
    Folder(tmp_path)
    start = time.perf_counter()
    dataset = Folder(tmp_path)
    assert time.perf_counter() - start < 2
    assert (len(dataset), dataset.num_classes) == (2000, 3)
