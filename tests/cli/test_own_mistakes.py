"""Ways to get one's own pictures wrong. Each ends in one sentence that names what is wrong, or what to type."""

import json
import shutil

import numpy as np
import own_trees
import pytest
from PIL import Image

PATTERNS = ("--images", "images/{}.png", "--labels", "masks/{}.png")
OWN = ("--dataset", "folder", "--root", "data")


def save(place, array):
    own_trees.save(place, np.asarray(array))


def ids(*values):
    """A label map of 8x12 pixels that holds these values."""
    return np.resize(np.array(values, np.uint8), (8, 12))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Six pictures and masks of the ids 0, 1, 2 below data/, in the working folder."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    for number in range(6):
        save(root / "images" / f"p{number}.png", np.full((8, 12, 3), 40 * number, np.uint8))
        save(root / "masks" / f"p{number}.png", ids(0, 1, 2))
    return root


def masks(*values):
    """A change: all masks hold these values."""

    def change(data):
        for path in (data / "masks").iterdir():
            save(path, ids(*values))

    return change


def text(place, content):
    def change(data):
        path = data / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return change


def both(*changes):
    def change(data):
        for each in changes:
            each(data)

    return change


def nothing(data):
    pass


def deeper(data):
    (data / "images" / "2024").mkdir()
    for path in (data / "images").glob("*.png"):
        path.rename(data / "images" / "2024" / path.name)


def suffix(data):
    for path in (data / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_seg.png"))


def in_colour(data):
    for path in (data / "masks").iterdir():
        save(path, np.array([(0, 0, 0), (250, 10, 20), (3, 4, 5)], np.uint8)[ids(0, 1, 2)])


def as_jpeg(data):
    for path in list((data / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()


def four_bands(data):
    for path in (data / "images").iterdir():
        save(path, np.dstack([np.full((8, 12, 3), 90, np.uint8), np.arange(96, dtype=np.uint8).reshape(8, 12)]))


def dark(data):
    for path in (data / "images").iterdir():
        save(path, np.full((8, 12), 4000, np.uint16))


def pages(data):
    for path in list((data / "images").iterdir()):
        one = Image.fromarray(np.zeros((8, 12), np.uint8))
        one.save(path.with_suffix(".tif"), save_all=True, append_images=[one, one])
        path.unlink()


def floating(data):
    for path in list((data / "images").iterdir()):
        Image.fromarray(np.linspace(0, 3, 96, dtype=np.float32).reshape(8, 12)).save(path.with_suffix(".tif"))
        path.unlink()


def drawn_elsewhere(data):
    shutil.rmtree(data / "masks")
    square = {"label": "a", "shape_type": "polygon", "points": [[0, 0], [5, 0], [5, 5]]}
    for number in range(6):
        content = {"shapes": [square], "imageHeight": 80, "imageWidth": 120, "imagePath": "x", "imageData": None}
        (data / "images" / f"p{number}.json").write_text(json.dumps(content))


def split_folders(train, val):
    """A change: train/ and valid/ with a class file each."""

    def change(data):
        for number, split in enumerate(("train", "valid")):
            save(data / split / "a.png", np.full((8, 12, 3), number, np.uint8))
            save(data / split / "a_mask.png", ids(0, 1))
            (data / split / "_classes.csv").write_text(f"Pixel Value, Class\n{train if split == 'train' else val}\n")

    return change


COCO = {
    "images": [{"id": 1, "file_name": "p0.png"}, {"id": 2, "file_name": "q.png"}],
    "categories": [{"id": 1, "name": "a"}],
}
COCO["annotations"] = [{"id": n, "image_id": n, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]} for n in (1, 2)]
INDEX = ("--images", "images/{}.png", "--labels", "all.json")
SPLIT = ("--images", "{split}/{}.png", "--labels", "{split}/{}_mask.png")
MASKS = ("--images", "images/{}.png", "--labels", "masks/{}.*")

WAYS = {
    # what is typed
    "a root without a dataset": (nothing, ("--root", "data"), "for your own pictures say --dataset folder"),
    "a pattern without a dataset": (nothing, PATTERNS, "--images is for your own pictures: say --dataset folder"),
    "an option of another dataset": (
        nothing,
        ("--dataset", "voc", "--root", "data", "--label-map", "0:0"),
        "--label-map is for your own pictures: say --dataset folder",
    ),
    "one pattern": (nothing, (*OWN, *PATTERNS[:2]), "--images needs --labels beside it"),
    "no word": (nothing, (*OWN, "--images", "images/*.png", "--labels", "masks/*.png"), "holds no word", "write {}"),
    "other words": (
        nothing,
        (*OWN, "--images", "images/{}.png", "--labels", "masks/{mask}.png"),
        *("the words of the two patterns differ", "{name}", "{mask}"),
    ),
    "half a brace": (nothing, (*OWN, "--images", "images/{.png", "--labels", "masks/{}.png"), "brace has no partner"),
    "a folder": (nothing, (*OWN, "--images", "images/", "--labels", "masks/"), "ends with the name of a file"),
    "a map that is none": (nothing, (*OWN, *PATTERNS, "--label-map", "0=1"), "--label-map takes VALUE:CLASS", "0=1"),
    "a value twice": (nothing, (*OWN, *PATTERNS, "--label-map", "0-3:0,2:1"), "says twice what the value 2 is"),
    "a class that is none": (nothing, (*OWN, *PATTERNS, "--label-map", "0:0,1:1,2:7", "--num-classes", "3"), "id 7"),
    "bands that are none": (nothing, (*OWN, *PATTERNS, "--bands", "r,g,b"), "--bands takes three bands", "r,g,b"),
    "a band that is not there": (nothing, (*OWN, *PATTERNS, "--bands", "1,2,3"), "has no band 3", "0..2"),
    "a range that is none": (nothing, (*OWN, *PATTERNS, "--range", "5:5"), "--range takes LOW:HIGH", "5:5"),
    "a class file that is gone": (
        nothing,
        (*OWN, *PATTERNS, "--classes", "gone.txt"),
        "no class file gone.txt in data",
    ),
    "another number of classes": (
        nothing,
        (*OWN, *PATTERNS, "--classes", "a,b,c", "--num-classes", "4"),
        *("names 3 classes", "num_classes is 4"),
    ),
    # which files are there
    "another extension": (
        nothing,
        (*OWN, "--images", "images/{}.jpg", "--labels", "masks/{}.png"),
        *("--images images/{}.jpg matches no file", "6 .png"),
    ),
    "another folder": (
        nothing,
        (*OWN, "--images", "images/{}.png", "--labels", "labels/{}.png"),
        *("there is no folder labels", "folders: images, masks"),
    ),
    "pictures one folder deeper": (
        deeper,
        (*OWN, *PATTERNS),
        "one folder deeper images/2024/",
        "images/{folder}/{}.png",
    ),
    "the folder above": (nothing, ("--dataset", "folder", "--root", ".", *PATTERNS), "say --root data"),
    "a root that is gone": (nothing, ("--dataset", "folder", "--root", "daten", *PATTERNS), "there is no folder daten"),
    "two files for one name": (
        lambda data: save(data / "images" / "p3.bmp", np.zeros((8, 12, 3), np.uint8)),
        (*OWN, "--images", "images/{}.*", "--labels", "masks/{}.png"),
        *("images/p3.", "two files for one name"),
    ),
    "labels without a picture": (
        lambda data: save(data / "masks" / "p9.png", ids(0, 1, 2)),
        (*OWN, *PATTERNS),
        "labels without a picture (1): --labels masks/{}.png has p9",
    ),
    "names that differ": (
        suffix,
        (*OWN, *PATTERNS),
        *("nothing pairs: --images images/{}.png matches 6 files and --labels masks/{}.png 6 files", "p0 and p0_seg"),
    ),
    "two layouts": (
        lambda data: shutil.copytree(data / "masks", data / "labels"),
        OWN,
        *("fits more than one layout", "'labels/{}.*'", "'masks/{}.*'"),
    ),
    # splits
    "a list of others": (
        text("train.txt", "p0\nimages/q7.png\n"),
        (*OWN, *PATTERNS),
        "train.txt names no picture",
        "q7",
    ),
    "a list that is gone": (
        both(text("train.txt", "p0"), text("val.txt", "p1")),
        (*OWN, *PATTERNS, "--val-split", "test"),
        *("there is no list data/test.txt", "train.txt and val.txt"),
    ),
    "two lists": (
        both(text("train.txt", "p0"), text("valid.txt", "p1"), text("dev.txt", "p2")),
        (*OWN, *PATTERNS),
        *("valid.txt", "dev.txt", "two lists of one split"),
    ),
    "a split without labels": (
        lambda data: (
            [(data / "masks" / f"p{n}.png").unlink() for n in (0, 1)]
            and both(text("train.txt", "p0\np1"), text("val.txt", "p2"))(data)
        ),
        (*OWN, *PATTERNS),
        "none of the 2 pictures of train has labels",
    ),
    "other classes in the other split": (
        split_folders("0, ground\n1, tree", "0, ground\n1, house"),
        (*OWN, *SPLIT),
        *("train and val have other classes", "class 1 is tree and house"),
    ),
    # labels
    "masks of 0 and 255": (masks(0, 255), (*OWN, *PATTERNS), "255 (50.0%)", "--label-map 0:0,255:1"),
    "three levels of grey": (masks(0, 127, 255), (*OWN, *PATTERNS), "127 (33.3%)", "--label-map 0:0,127:1,255:2"),
    "soft masks": (masks(*range(0, 256, 5)), (*OWN, *PATTERNS), "--label-map 0-127:0,128-255:1"),
    "ids with a gap": (masks(0, 1, 5), (*OWN, *PATTERNS), "5 (33.3%)", "without a gap", "--label-map 0:0,1:1,5:2"),
    "an id too large": (nothing, (*OWN, *PATTERNS, "--num-classes", "2"), "contain the id 2", "0..1 and 255"),
    "a value without a class": (
        nothing,
        (*OWN, *PATTERNS, "--label-map", "0:ground,1:tree"),
        *("the value 2", "33.3%", "2:ignore"),
    ),
    "colours without classes": (in_colour, (*OWN, *PATTERNS), "shows its labels as colours", "--classes FILE"),
    "a colour of no class": (
        both(in_colour, text("labelmap.txt", "# label:color_rgb:parts:actions\nground:0,0,0::\ntree:250,10,20::\n")),
        (*OWN, *PATTERNS),
        *("32 pixels in the colour (3, 4, 5)", "labelmap.txt", "masks/p"),
    ),
    "masks as JPEG": (as_jpeg, (*OWN, *MASKS), ".jpg is a JPEG", "alters"),
    "labels of another size": (
        lambda data: [save(path, ids(0, 1, 2)[:5]) for path in (data / "masks").iterdir()],
        (*OWN, *PATTERNS),
        *("images/p", "is 8x12 pixels", "masks/p", "is 5x12"),
    ),
    "outlines of another picture": (
        drawn_elsewhere,
        (*OWN, "--images", "images/{}.png", "--labels", "images/{}.json"),
        *("images/p0.json", "80x120", "8x12"),
    ),
    "a COCO file that is none": (text("all.json", {"images": []}), (*OWN, *INDEX), "all.json is no COCO file"),
    "a COCO file of other pictures": (
        text("all.json", COCO),
        (*OWN, *INDEX),
        "labels without a picture (1): --labels all.json has q.png",
    ),
    "a list of masks that are gone": (
        text("masks.csv", "p0.png,gone/p0.png,tree\n"),
        (*OWN, "--images", "images/{}.png", "--labels", "masks.csv"),
        "masks.csv names gone/p0.png, which is not in data",
    ),
    # pictures
    "four bands": (four_bands, (*OWN, *PATTERNS), "4 bands", "--bands 0,1,2"),
    "16 bits that stay dark": (dark, (*OWN, *PATTERNS), "no value above 4000 of 65535", "--range 0:4095"),
    "pages": (pages, (*OWN, "--images", "images/{}.tif", "--labels", "masks/{}.png"), "3 pages"),
    "floating point": (floating, (*OWN, "--images", "images/{}.tif", "--labels", "masks/{}.png"), "--range LOW:HIGH"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_get_it_wrong(way, data, mistake, tmp_path):
    change, words, *parts = WAYS[way]
    change(data)
    line = mistake("train", *words, "--model", "mini_fcn8s", "--width", 2, "--steps", 1, "--no-augment", "--out", "run")
    for part in parts:
        assert part in line
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


@pytest.mark.parametrize("way", ["two layouts", "masks of 0 and 255", "labels without a picture"])
@pytest.mark.parametrize("command", ["data", "compare", "evaluate", "doctor"])
def test_the_other_commands_say_the_same(way, command, data, fcn, done):
    own_trees.save(data / "x.png", np.zeros((8, 12, 3), np.uint8))
    if command == "evaluate":
        run = ("--model", "mini_fcn8s", "--width", 2, "--steps", 1, "--no-augment", "--out", "run")
        done("train", *OWN, *PATTERNS, *run)
    change, words, *parts = WAYS[way]
    change(data)
    first = {"data": ("folder",), "evaluate": ("--weights", "run/checkpoint.npz", "--model", "mini_fcn8s")}.get(
        command, ()
    )
    words = words[2:] if command == "data" else words
    if command == "evaluate" and way != "labels without a picture":
        pytest.skip("the checkpoint knows the patterns and the classes")
    status, out, err = fcn(command, *first, *words)
    told = " ".join((out + err).split())
    assert status == (1 if command == "doctor" else 2)
    for part in parts:
        assert part in told


# --- what was silently wrong: each is refused now ------------------------------------------------------------------

RUN = ("--width", 2, "--steps", 2, "--batch-size", 2, "--out", "run")


def test_a_class_file_that_is_edited_during_a_run(data, done, mistake):
    """The ids in the label files would get other names, and the network's scores other meanings."""
    (data / "classes.txt").write_text("sky\nroad\ncar\n")
    done("train", *OWN, *PATTERNS, *RUN)
    (data / "classes.txt").write_text("car\nroad\nsky\n")
    told = mistake("train", "--resume", "--steps", 3, "--out", "run")
    assert "the run in run was trained on other classes than are here: class 0 is sky and car" in told
    (data / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    assert "3 classes and 4 classes" in mistake("train", "--resume", "--steps", 3, "--out", "run")
    (data / "classes.txt").write_text("sky\nroad\ncar\n")
    done("train", "--resume", "--steps", 3, "--out", "run")


COLOURS = [(0, 0, 0), (200, 0, 0), (0, 0, 200)]


def save_palette(path, colours):
    picture = Image.fromarray(ids(0, 1, 2))
    picture.putpalette([band for colour in colours for band in colour])
    picture.save(path)


def test_palettes_that_differ_from_file_to_file(data, done, mistake):
    """Programs that save a palette file anew may order it anew. The colours tell the classes then, not the numbers."""
    for number, path in enumerate(sorted((data / "masks").iterdir())):
        save_palette(path, [COLOURS[place] for place in ((0, 1, 2), (0, 2, 1))[number % 2]])
    told = mistake("train", *OWN, *PATTERNS, *RUN)
    assert "the number 1 has one colour in data/masks/p0.png and another in p1.png" in told
    (data / "classes.txt").write_text("sky:0,0,0\nroad:200,0,0\ncar:0,0,200\n")
    done("train", *OWN, *PATTERNS, *RUN)
    (data / "classes.txt").unlink()
    done("train", *OWN, *PATTERNS, *RUN[:-1], "numbers", "--num-classes", 3)


@pytest.mark.parametrize("colours", [COLOURS, [(0, 0, 0), (1, 1, 1), (2, 2, 2)], [(9, 9, 9)] * 3])
def test_palettes_that_agree_or_say_nothing(data, done, colours):
    for path in sorted((data / "masks").iterdir()):
        save_palette(path, colours)
    save(data / "masks" / "p3.png", ids(0, 1, 2))  # without a palette
    done("train", *OWN, *PATTERNS, *RUN)


class TestTwoDatasets:
    """A run on one's own pictures that is scored on a published set, and the other way round."""

    ELSEWHERE = ("--val-dataset", "voc", "--val-root", "sample")

    def test_other_classes(self, data, mistake):
        told = mistake("train", *OWN, *PATTERNS, *RUN, *self.ELSEWHERE)
        assert "train and val have other classes: 3 classes and 21 classes" in told

    def test_the_options_are_for_the_folder_alone(self, data, done):
        words = (*PATTERNS, "--num-classes", 21)
        done("train", *OWN, *words, *RUN, *self.ELSEWHERE)
        done("train", "--resume", "--steps", 3, "--out", "run")
        assert "voc val: 4 pictures" in done("evaluate", "--out", "run")
        swapped = ("--dataset", "voc", "--root", "sample", "--val-dataset", "folder", "--val-root", "data")
        done("train", *swapped, *PATTERNS, *RUN[:-1], "swapped")
        done("train", "--resume", "--steps", 3, "--out", "swapped")
        done("evaluate", "--out", "swapped")
