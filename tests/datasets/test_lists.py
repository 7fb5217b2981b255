"""Lists as Windows, macOS and Linux write them: encodings, endings, folders, Unicode forms."""

import codecs
import re
import unicodedata

import numpy as np
import pytest
import trees

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.lists import bare_name, nfc, read_list

ACCENTS = ("café", "Häuser", "각", "Ångström")  # each has two spellings in Unicode
COMPOSED = [unicodedata.normalize("NFC", word) for word in ACCENTS]
DECOMPOSED = [unicodedata.normalize("NFD", word) for word in ACCENTS]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", " \t\r\n\r\n"])
def test_a_byte_order_mark_decides(tmp_path, encoding, ending):
    mark = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}.get(encoding, b"")
    words = ["a1", "größe 2", "犬", "x\u2028y"]
    (tmp_path / "list").write_bytes(mark + f"{ending}{ending.join(words)}{ending}".encode(encoding))
    assert read_list(tmp_path / "list") == words


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("größe".encode("latin-1"), "Save it as UTF-8"),
        ("größe".encode("utf-16-le"), "Save it as UTF-8"),  # no mark
        (codecs.BOM_UTF16_LE + b"a", "Save it as UTF-8"),  # half a character
        (codecs.BOM_UTF16_LE, "lists nothing"),
        (codecs.BOM_UTF8 + b"\r\n \r\n", "lists nothing"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, complaint):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / 'list'))} .*{complaint}"):
        read_list(tmp_path / "list")


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("a0", "a0"),
        ("a0.png", "a0"),
        ("a0.PNG", "a0"),
        (r"C:\data\images\a0.jpg", "a0"),
        ("./images/a.b.jpg", "a.b"),
        ("scan.2024", "scan.2024"),
        ("a.tif", "a.tif"),
    ],
)
def test_folders_and_known_endings_go(name, bare):
    assert bare_name(name, (".png", ".jpg")) == bare


# --- a folder of your own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "encoding"),
    [
        ("{}", "utf-16"),
        ("{}.png", "utf-8"),
        ("{}.PNG", "utf-16"),
        ("images/{}.png", "utf-8-sig"),
        (r"D:\mine\images\{}.png", "utf-8"),
        (" {}\t", "utf-8"),
    ],
)
def test_a_folders_list(folder, form, encoding):
    lists = {"train": "ca", "val": "g"}
    for split, stems in lists.items():
        (folder / f"{split}.txt").write_bytes("\r\n".join(map(form.format, stems)).encode(encoding))
    for split, stems in lists.items():
        dataset = datasets.Folder(folder, split)
        assert [sample.name for sample in dataset] == list(stems)


def test_a_stem_that_looks_like_a_file_is_itself(tmp_path, pair):
    pair(tmp_path / "images", tmp_path / "labels", "a.png")  # images/a.png.png
    (tmp_path / "train.txt").write_text("a.png\n")
    assert datasets.Folder(tmp_path)[0].name == "a.png"


@pytest.mark.parametrize(("images", "labels"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
@pytest.mark.parametrize("listed", [None, COMPOSED, DECOMPOSED])
def test_stems_pair_up_in_both_spellings(tmp_path, pair, images, labels, listed):
    written = []
    for seed, (image, label) in enumerate(zip(images, labels)):
        written.append(pair(tmp_path / "images", tmp_path / "labels", image, seed=seed))
        (tmp_path / "labels" / f"{image}.png").rename(tmp_path / "labels" / f"{label}.png")
    if listed:
        (tmp_path / "all.txt").write_text("\n".join(listed), encoding="utf-8")
    dataset = datasets.Folder(tmp_path, "all")
    assert sorted(sample.name for sample in dataset) == sorted(COMPOSED)
    for sample in dataset:
        image, ids = written[COMPOSED.index(sample.name)]
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.labels, ids)


def test_one_stem_in_two_spellings_is_refused(tmp_path, pair):
    pair(tmp_path / "images", tmp_path / "labels", COMPOSED[0])
    pair(tmp_path / "images", tmp_path / "labels", DECOMPOSED[0])
    with pytest.raises(InputError, match="are two files for one name"):
        datasets.Folder(tmp_path)


# --- the other readers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "{}.jpg", "{}.png", "JPEGImages/{}.jpg", r"JPEGImages\{}.JPG"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_vocs_and_sbds_lists(tmp_path, rng, form, encoding):
    voc = trees.voc(tmp_path, rng, train=["p1", "p2"])
    sbd, _ = trees.sbd(tmp_path, rng, train=["q1", "q2"])
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_bytes(f"{form}\r\n".format("p2").encode(encoding))
    (sbd / "train.txt").write_bytes(f"{form}\r\n".format("q2").encode(encoding))
    assert [name for name, *_ in datasets.VOC(voc).pairs] == ["p2"]
    assert [name for name, *_ in datasets.SBD(sbd).pairs] == ["q2"]


@pytest.mark.parametrize("form", ["{}", "img_{}", "img_{}.png", r"data\images\img_{}.png"])
def test_nyuds_lists(tmp_path, rng, form):
    root, _ = trees.nyud(tmp_path, rng, train=["5001", "5002"])
    (root / "train.txt").write_bytes(form.format("5002").encode("utf-16"))
    assert [name for name, *_ in datasets.NYUD(root).pairs] == ["5002"]


def test_camvids_list_from_windows(tmp_path, pair):
    pair(tmp_path / "train", tmp_path / "trainannot", "X1")
    line = "SegNet\\CamVid\\train\\X1.png SegNet\\CamVid\\trainannot\\X1.png\r\n"
    (tmp_path / "train.txt").write_bytes(line.encode("utf-16"))
    assert datasets.CamVid(tmp_path)[0].name == "X1"


@pytest.mark.parametrize(("written", "listed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_files_are_found_in_either_spelling(tmp_path, rng, written, listed):
    root = trees.voc(tmp_path, rng, train=written)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(listed), encoding="utf-8")
    dataset = datasets.VOC(root)
    assert [sample.name for sample in dataset] == [nfc(word) for word in listed]
    assert all(path.exists() for _, *paths in dataset.pairs for path in paths)
