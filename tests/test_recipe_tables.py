"""docs/recipes.md: its first table is the recipes', its second the published values, and both agree.

PUBLISHED is typed from the paper's public code (net.py, solve.py and solver.prototxt of each folder) and from the text
of CVPR 2015, not from the package.
"""

import re
from pathlib import Path

import pytest

from fcn_from_scratch.training.recipes import RECIPES

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
_SBD, _NYUD = ("sbd", None, "train", "voc", "seg11valid"), ("nyud", "trainval", "nyud", "test")
VOC11 = ("voc", None, "train", "voc", "val")
SIFT_FLOW = ("siftflow", None, "trainval", "siftflow", "test")
CONTEXT = ("pascalcontext", None, "train", "pascalcontext", "val")


def nyud(modality):
    return ("nyud", modality, "trainval", "nyud", "test")


# recipe: data set, modality, split, data set and split of scoring; the start; the iterations that solve.py takes; rate
PUBLISHED = {
    "fcn32s-heavy": (_SBD, ["vgg16-fcn"], 25 * 4000, 1e-10),
    "fcn16s-heavy": (_SBD, ["voc-fcn32s"], 25 * 4000, 1e-12),
    "fcn8s-heavy": (_SBD, ["voc-fcn16s"], 25 * 4000, 1e-14),
    "fcn8s_atonce-heavy": (_SBD, ["vgg16-fcn"], 75 * 4000, 1e-10),
    "fcn_alexnet-heavy": (_SBD, ["caffenet-fcn"], 25 * 4000, 1e-4),
    "fcn32s-cvpr": (VOC11, ["VGG16"], None, 1e-4),
    "fcn16s-cvpr": (VOC11, ["FCN-32s"], None, 1e-6),
    "fcn_alexnet-cvpr": (VOC11, ["AlexNet"], None, 1e-3),
    "fcn_googlenet-cvpr": (VOC11, ["GoogLeNet"], None, 5e-5),
    "siftflow-fcn32s-heavy": (SIFT_FLOW, ["vgg16-fcn"], 50 * 2000, 1e-10),
    "siftflow-fcn16s-heavy": (SIFT_FLOW, ["siftflow-fcn32s"], 50 * 2000, 1e-12),
    "siftflow-fcn8s-heavy": (SIFT_FLOW, ["siftflow-fcn16s"], 50 * 2000, 1e-12),
    "nyud-fcn32s-color-heavy": (nyud("color"), ["vgg16-fcn"], 50 * 2000, 1e-10),
    "nyud-fcn32s-color-d-heavy": (nyud("color-d"), ["vgg16-fcn"], 50 * 2000, 1e-10),
    "nyud-fcn32s-hha-heavy": (nyud("hha"), ["vgg16-fcn"], 50 * 2000, 1e-10),
    "nyud-fcn32s-color-hha-heavy": (
        *(nyud("color-hha"), ["nyud-rgb-32s-28k", "nyud-hha-32s-60k"]),
        *(50 * 2000, 1e-12),
    ),
    "pascalcontext-fcn32s-heavy": (CONTEXT, ["vgg16-fcn"], 50 * 8000, 1e-10),
    "pascalcontext-fcn16s-heavy": (CONTEXT, ["pascalcontext-fcn32s"], 50 * 8000, 1e-12),
    "pascalcontext-fcn8s-heavy": (CONTEXT, ["pascalcontext-fcn16s"], 50 * 8000, 1e-14),
}
# what the published starts are called here
STARTS = {
    "vgg16-fcn": "VGG16",
    "VGG16": "VGG16",
    "caffenet-fcn": "CaffeNet",
    "AlexNet": "CaffeNet",
    "GoogLeNet": "GoogLeNet",
    "FCN-32s": "fcn32s-cvpr",
    "nyud-rgb-32s-28k": "nyud-fcn32s-color-heavy at step 28,000",
    "nyud-hha-32s-60k": "nyud-fcn32s-hha-heavy at step 60,000",
}
PICTURES = {"sbd": (8498, 736), "voc": (1112, None), "siftflow": (2486, 200), "nyud": (795, 654)}
PICTURES["pascalcontext"] = (None, 5105)
LISTS = {"sbd": "SBD train", "voc": "VOC 2011 train"}  # as the page calls them


def tables():
    """The tables of the page: a list of dicts, recipe -> dict heading -> cell."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        head, _, *rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        found.append({row[0]: dict(zip(head[1:], row[1:])) for row in rows})
    return found


HERE, THERE = tables()


def here_called(start):
    """A published start by the name of the recipe here: voc-fcn32s is fcn32s-heavy."""
    return STARTS.get(start) or f"{start.removeprefix('voc-')}-heavy"


def test_every_recipe_is_in_both_tables():
    assert list(HERE) == list(THERE) == list(PUBLISHED)
    assert RECIPES.keys() - HERE.keys() == {"mini"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_package_does_what_was_published(name):
    (dataset, modality, split, val_dataset, val_split), starts, steps, lr = PUBLISHED[name]
    recipe, data = RECIPES[name], RECIPES[name].data
    assert (data.dataset, data.modality, data.split) == (dataset, modality, split)
    assert (data.val_dataset or data.dataset, data.val_split) == (val_dataset, val_split)
    assert (data.pictures, data.val_pictures) == PICTURES[dataset]
    assert recipe.lr == lr
    assert steps in (None, recipe.steps)
    steps_there = [here_called(start).partition(" at step ")[2].replace(",", "") for start in starts]
    assert list(recipe.start_steps) == [int(number) for number in steps_there if number]
    assert recipe.start.split(" and ") == [here_called(start).partition(" at ")[0] for start in starts]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_first_table_is_the_packages(name):
    recipe, data, row = RECIPES[name], RECIPES[name].data, HERE[name]
    assert row["network"] == recipe.model
    assert row["data set"].split() == [data.dataset] + ([data.modality] if data.modality else [])
    for cell, split, pictures in (("trains on", data.split, data.pictures), ("scored on", None, data.val_pictures)):
        number = re.search(r"\(([\d,]+)\)", row[cell])
        assert (int(number[1].replace(",", "")) if number else None) == pictures
        words = row[cell].split(" (")[0].split()
        assert words == ([split] if split else [*([data.val_dataset] if data.val_dataset else []), data.val_split])
    assert (int(row["steps"].replace(",", "")), float(row["rate"])) == (recipe.steps, recipe.lr)
    assert float(row["momentum"]) == recipe.momentum
    assert row["loss, pictures a step"] == f"{recipe.reduction}, {recipe.batch_size * recipe.iter_size}"
    starts = row["starts from"].split(" and ")
    assert [start.partition(" at ")[0] for start in starts] == recipe.start.split(" and ")
    steps = [int(start.rpartition(" ")[2].replace(",", "")) for start in starts if " at step " in start]
    assert tuple(steps) == recipe.start_steps


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_second_table_is_what_was_published(name):
    (dataset, _, split, _, val_split), starts, steps, lr = PUBLISHED[name]
    row = THERE[name]
    assert row["trains on"] == LISTS.get(dataset, split)
    assert row["scored on"] == ("VOC 2011 val" if dataset == "voc" else val_split)
    assert row["starts from"].split(" and ") == starts
    if steps is not None:
        times, each = row["iterations"].split(" x ")
        assert int(times) * int(each.replace(",", "")) == steps
    if name != "fcn16s-cvpr":  # "a hundredth of FCN-32s's"
        assert float(row["rate"]) == lr
    assert PUBLISHED["fcn16s-cvpr"][3] == pytest.approx(PUBLISHED["fcn32s-cvpr"][3] / 100)
