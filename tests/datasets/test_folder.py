"""A folder of your own: pairs by stem, splits, classes, and the messages for the usual mistakes."""

import os

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Folder


def names(dataset):
    return [sample.name for sample in dataset]


def test_a_pair_is_read_as_written(tmp_path, pair):
    image, labels = pair(tmp_path / "images", tmp_path / "labels", "my photo 1", ids=(0, 1, 2, 255))
    sample = Folder(tmp_path)[0]
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.labels, labels)
    assert sample.name == "my photo 1"


def test_pictures_of_any_kind_pair_up_by_their_stems(folder, pair):
    pair(folder / "images", folder / "labels", "h", suffix=".JPG")
    pair(folder / "images", folder / "labels", "i", suffix=".bmp")
    (folder / "images" / ".DS_Store").write_bytes(b"not a picture")
    (folder / "labels" / "Thumbs.db").write_bytes(b"not a picture")
    assert names(Folder(folder, "all")) == list("abcdefghi")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
class TestListsThatAreNoFiles:
    @pytest.mark.parametrize("name", ["train.txt", "classes.txt"])
    @pytest.mark.parametrize("linked", [False, True])
    def test_a_fifo_is_named(self, folder, name, linked):
        """Passed over, it would lead to other splits, or to another number of classes."""
        os.mkfifo(folder / "fifo")
        (folder / name).symlink_to("fifo") if linked else (folder / "fifo").rename(folder / name)
        with pytest.raises(InputError, match=rf"{name} is a FIFO; only regular files are read"):
            Folder(folder, "train")

    def test_a_fifo_in_the_place_of_another_list(self, folder):
        os.mkfifo(folder / "val.txt")
        with pytest.raises(InputError, match=r"val\.txt is a FIFO; only regular files are read"):
            Folder(folder, "train")

    def test_a_folder_is_named(self, folder):
        (folder / "train.txt").mkdir()
        with pytest.raises(InputError, match=r"train\.txt.* cannot be read as a list"):
            Folder(folder, "train")


# --- splits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "val"), [(1, "a"), (2, "b"), (4, "d"), (5, "e"), (7, "e"), (9, "e"), (10, "ej"), (16, "ejo")]
)
def test_every_fifth_goes_to_val(tmp_path, pair, count, val):
    stems = "abcdefghijklmnop"[:count]
    for stem in stems:
        pair(tmp_path / "images", tmp_path / "labels", stem)
    assert names(Folder(tmp_path, "val")) == list(val)
    assert names(Folder(tmp_path, "train")) == [s for s in stems if s not in val or count == 1]


def test_lists_are_followed(folder):
    (folder / "train.txt").write_text("c\n\na\n")
    (folder / "val.txt").write_bytes(b"\xef\xbb\xbfg\r\n")
    assert names(Folder(folder, "train")) == ["c", "a"]
    assert names(Folder(folder, "val")) == ["g"]
    assert names(Folder(folder, "all")) == list("abcdefg")
    with pytest.raises(InputError, match=r"no list .*test\.txt, though there is train\.txt"):
        Folder(folder, "test")


def test_an_unknown_split_is_named(folder):
    with pytest.raises(InputError, match=r"split must be train, val, all.*minival\.txt"):
        Folder(folder, "minival")


@pytest.mark.parametrize(("content", "complaint"), [(b"", "lists nothing"), (b"\xff\xfe\x00", "as a list")])
def test_a_bad_list_is_named(folder, content, complaint):
    (folder / "train.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"train\.txt .*{complaint}"):
        Folder(folder)


# --- pairs ----------------------------------------------------------------------------------------------------


def test_pictures_without_labels_are_left_out_and_counted(folder):
    (folder / "labels" / "b.png").unlink()
    (folder / "labels" / "g.png").unlink()
    dataset = Folder(folder, "all")
    assert names(dataset) == list("acdef")
    assert any("2 pictures without labels are left out: b, g" in note for note in dataset.notes)


def test_labels_without_a_picture_are_refused(folder):
    (folder / "images" / "c.png").unlink()
    with pytest.raises(InputError, match=r"labels without a picture \(1\): .* has c, for which"):
        Folder(folder)


def test_a_listed_stem_without_files_is_named(folder):
    (folder / "train.txt").write_text("a\nzebra\n")
    with pytest.raises(InputError, match=r"train\.txt names no picture that is there: zebra"):
        Folder(folder)


def test_two_pictures_of_one_stem_are_refused(folder, pair):
    pair(folder / "images", folder / "labels", "a", suffix=".bmp")
    with pytest.raises(InputError, match=r"images/a\.bmp and images/a\.png are two files for one name.* as a;"):
        Folder(folder)


@pytest.mark.parametrize("missing", ["images", "labels"])
def test_a_missing_or_empty_folder_is_named(folder, missing):
    for path in (folder / missing).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=rf"no pictures in .*{missing}"):
        Folder(folder)
    (folder / missing).rmdir()
    with pytest.raises(InputError, match=rf"there is no folder .*{missing}"):
        Folder(folder)


def test_sizes_that_differ_are_both_named(folder):
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(folder / "labels" / "a.png")
    with pytest.raises(InputError, match=r"images/a\.png is 6x8 pixels but .*labels/a\.png is 6x9$"):
        Folder(folder)[0]


def test_labels_must_fit_the_picture_as_displayed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=exif)
    labels = Image.fromarray(np.ones((6, 8), np.uint8))
    labels.save(tmp_path / "labels" / "a.png")
    with pytest.raises(InputError, match=r"8x6 .* 6x8; labels must fit the picture as it is displayed"):
        Folder(tmp_path, num_classes=2)[0]
    labels.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "labels" / "a.png")
    assert Folder(tmp_path, num_classes=2)[0].labels.shape == (8, 6)


# --- classes --------------------------------------------------------------------------------------------------


def test_the_number_of_classes_is_given_named_or_found(folder):
    assert Folder(folder).num_classes == 3
    assert Folder(folder, num_classes=7).num_classes == 7
    (folder / "classes.txt").write_text("sky\ntall building\nroad\ntree\n")
    assert Folder(folder).classes == ("sky", "tall building", "road", "tree")
    with pytest.raises(InputError, match=r"classes\.txt names 4 classes, but num_classes is 3"):
        Folder(folder, num_classes=3)


def test_all_splits_find_the_same_classes(folder, pair):
    pair(folder / "images", folder / "labels", "e", ids=(0, 3))  # "e" is the one of val
    assert Folder(folder, "train").num_classes == Folder(folder, "val").num_classes == 4


def test_ids_with_a_gap_are_refused_and_the_map_is_printed(folder, pair):
    pair(folder / "images", folder / "labels", "e", ids=(0, 6))
    for split in ("train", "val"):
        with pytest.raises(InputError, match=r"6 \(.*without a gap.*--label-map 0:0,1:1,2:2,6:3"):
            Folder(folder, split)
    assert Folder(folder, num_classes=7).num_classes == 7


def test_an_id_out_of_range_is_found_when_the_dataset_is_built(folder):
    with pytest.raises(InputError, match=r"labels/a\.png contain the id 2 .*0\.\.1 and 255"):
        Folder(folder, num_classes=2)


def test_masks_of_0_and_255_are_noticed(tmp_path, pair):
    """Their foreground would be ignored everywhere: a warning, or an error where the classes cannot be told."""
    for stem in "ab":
        pair(tmp_path / "images", tmp_path / "labels", stem, ids=(0, 255))
    with pytest.warns(UserWarning, match="save the foreground as 1"):
        Folder(tmp_path, num_classes=2)
    with pytest.raises(InputError, match=r"0 \(.*255 \(.*--label-map 0:0,255:1"):
        Folder(tmp_path)


def test_two_classes_with_an_ignored_border_are_fine(tmp_path, pair):
    pair(tmp_path / "images", tmp_path / "labels", "a", ids=(0, 1, 255, 255, 255))
    assert Folder(tmp_path).num_classes == 2  # and no warning, which would be an error here


def test_masks_in_colours_are_decoded_on_request(tmp_path, pair):
    _, labels = pair(tmp_path / "images", tmp_path / "labels", "a")
    palette = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
    Image.fromarray(palette[labels]).save(tmp_path / "labels" / "a.png")
    with pytest.raises(InputError, match=r"a\.png shows its labels as colours"):
        Folder(tmp_path)
    np.testing.assert_array_equal(Folder(tmp_path, mask_palette=palette)[0].labels, labels)


# --- the cache ------------------------------------------------------------------------------------------------


def test_the_cache_remembers_until_it_is_full(folder):
    size = 6 * 8 * (3 + 1)
    dataset = Folder(folder, "all", cache=True, cache_bytes=2 * size + 1)
    fresh = [dataset[i] for i in (3, 1, 5)]
    for path in (folder / "images").iterdir():
        path.unlink()
    assert dataset[3] is fresh[0]
    assert dataset[-6] is fresh[1]
    with pytest.raises(InputError, match=r"no file .*f\.png"):
        dataset[5]


def test_without_a_cache_files_are_read_again(folder):
    dataset = Folder(folder)
    first = dataset[0]
    assert dataset[0] is not first
    with pytest.raises(ValueError, match="read-only"):
        first.labels[0, 0] = 1
