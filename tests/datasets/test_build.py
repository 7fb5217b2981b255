"""datasets.build turns a user's words into a dataset or one clear sentence; and tests of the project's drawn sample."""

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import audit, count_ids, sample


def test_each_name_builds_its_dataset(folder):
    assert {"shapes", "voc", "camvid", "folder"} < {*datasets.NAMES}
    assert len(datasets.build("shapes", count=7, size=32, depth=True)) == 7
    assert datasets.build("shapes", split="val")[0].name.startswith("val")
    assert datasets.build("voc").num_classes == 21
    assert datasets.build("folder", folder, num_classes=4, cache=True).num_classes == 4


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"name": "coco"}, "no dataset 'coco'; there are shapes, voc, .*, camvid, folder"),
        ({"name": "shapes", "colour": 3}, "shapes has no option 'colour'; it has .*classes_by"),
        ({"name": "shapes", "root": "here"}, "takes no root; got here"),
        ({"name": "shapes", "num_classes": 21}, "shapes has 6 classes; num_classes says 21"),
        ({"name": "shapes", "split": "all"}, "split must be one of 'train', 'val', 'test'; got 'all'"),
        ({"name": "shapes", "size": "big"}, "size"),
        ({"name": "camvid"}, "camvid needs a root"),
        ({"name": "folder"}, "folder needs a root"),
        ({"name": "nyud"}, "nyud needs a root"),
        ({"name": "voc", "modality": "hha"}, "voc has no option 'modality'; it has .*sbd"),
        ({"name": "folder", "root": "nowhere"}, "there is no folder nowhere.images"),
        ({"name": "voc", "root": "nowhere"}, "there is no folder nowhere.SegmentationClass"),
    ],
)
def test_a_mistake_is_one_sentence(words, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        datasets.build(**words)
    assert "\n" not in str(caught.value)


def test_a_dataset_in_memory_gives_the_same_samples():
    drawn = datasets.Shapes(4, size=24, classes_by="colour")
    kept = datasets.InMemory(drawn)
    assert (len(kept), kept.classes, kept.heads) == (4, drawn.classes, drawn.heads)
    for one, other in zip(kept, drawn):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert kept[2] is kept[2]


# --- data/sample ----------------------------------------------------------------------------------------------


def test_the_sample_is_a_good_voc_dataset():
    train, val = datasets.build("voc", split="train"), datasets.build("voc", split="val")
    assert (len(train), len(val)) == (8, 4)
    assert not {s.name for s in train} & {s.name for s in val}
    for split in (train, val):
        seen = set(np.flatnonzero(count_ids(split)))
        assert seen == {*sample.VOC_IDS.tolist(), 255}
        assert split[0].image.shape == (96, 96, 3)
        (absent,) = audit(split)
        assert absent.startswith("never seen in")


def test_the_sample_can_be_drawn_again(tmp_path):
    """Twice the same bytes here; and, by whatever Pillow, nearly the committed pixels."""
    for again in ("once", "twice"):
        sample.write_sample(tmp_path / again)
    files = sorted(p.relative_to(tmp_path / "once") for p in (tmp_path / "once").rglob("*") if p.is_file())
    assert len(files) == 2 * 12 + 2
    for file in files:
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "twice" / file).read_bytes()
    for drawn, kept in zip(datasets.VOC(tmp_path / "once"), datasets.VOC()):
        assert (drawn.labels == kept.labels).mean() > 0.97
        assert np.abs(drawn.image.astype(int) - kept.image).mean() < 4


def test_the_sample_is_small_and_in_vocs_colours():
    files = [p for p in sample.SAMPLE.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 150_000
    with Image.open(sample.SAMPLE / "SegmentationClass" / "train_01.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
