"""The recipes against the paper's text and its public code, and what they make of a training."""

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.training import SGD, recipes
from fcn_from_scratch.training.recipes import RECIPES

# name: rate, momentum, reduction, pictures a step, steps, from where: the solvers, and CVPR 2015 section 4.3
PAPER = {
    "fcn32s-heavy": (1e-10, 0.99, "sum", 1, 100_000, "VGG16"),
    "fcn16s-heavy": (1e-12, 0.99, "sum", 1, 100_000, "fcn32s-heavy"),
    "fcn8s-heavy": (1e-14, 0.99, "sum", 1, 100_000, "fcn16s-heavy"),
    "fcn8s_atonce-heavy": (1e-10, 0.99, "sum", 1, 300_000, "VGG16"),
    "fcn_alexnet-heavy": (1e-4, 0.9, "mean", 20, 100_000, "CaffeNet"),
    "fcn32s-cvpr": (1e-4, 0.9, "mean", 20, 9_730, "VGG16"),
    "fcn16s-cvpr": (1e-6, 0.9, "mean", 20, 9_730, "fcn32s-cvpr"),
    "fcn_alexnet-cvpr": (1e-3, 0.9, "mean", 20, 9_730, "CaffeNet"),
    "fcn_googlenet-cvpr": (5e-5, 0.9, "mean", 20, 9_730, "GoogLeNet"),
    "siftflow-fcn32s-heavy": (1e-10, 0.99, "sum", 1, 100_000, "VGG16"),
    "siftflow-fcn16s-heavy": (1e-12, 0.99, "sum", 1, 100_000, "siftflow-fcn32s-heavy"),
    "siftflow-fcn8s-heavy": (1e-12, 0.99, "sum", 1, 100_000, "siftflow-fcn16s-heavy"),
    "nyud-fcn32s-color-heavy": (1e-10, 0.99, "sum", 1, 100_000, "VGG16"),
    "nyud-fcn32s-color-d-heavy": (1e-10, 0.99, "sum", 1, 100_000, "VGG16"),
    "nyud-fcn32s-hha-heavy": (1e-10, 0.99, "sum", 1, 100_000, "VGG16"),
    "nyud-fcn32s-color-hha-heavy": (
        *(1e-12, 0.99, "sum", 1, 100_000),
        "nyud-fcn32s-color-heavy and nyud-fcn32s-hha-heavy",
    ),
    "pascalcontext-fcn32s-heavy": (1e-10, 0.99, "sum", 1, 400_000, "VGG16"),
    "pascalcontext-fcn16s-heavy": (1e-12, 0.99, "sum", 1, 400_000, "pascalcontext-fcn32s-heavy"),
    "pascalcontext-fcn8s-heavy": (1e-14, 0.99, "sum", 1, 400_000, "pascalcontext-fcn16s-heavy"),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_numbers(name):
    r = RECIPES[name]
    assert (r.lr, r.momentum, r.reduction, r.batch_size * r.iter_size, r.steps, r.start) == PAPER[name]
    assert (r.weight_decay, r.schedule, r.sampling, r.whole) == (5e-4, "fixed", "replacement", True)
    assert r.batch_size == 1, "pictures have their own sizes"
    assert r.source


def test_every_recipe_is_checked_here():
    assert RECIPES.keys() - PAPER.keys() == {"mini"}


def test_epochs_of_the_cvpr_text():
    """At least 175 epochs of 1,112 pictures, 20 a step."""
    assert RECIPES["fcn32s-cvpr"].steps * 20 / 1112 == pytest.approx(175)


@pytest.mark.parametrize("name", RECIPES)
def test_it_names_a_network_and_a_start_that_exist(name):
    r = RECIPES[name]
    assert r.model is None or r.model in models.NAMES
    classifiers = {None, "VGG16", "CaffeNet", "GoogLeNet"}
    assert r.start in classifiers or set(r.start.split(" and ")) <= RECIPES.keys()


def test_stages_end_at_a_classifier():
    for name in RECIPES:
        start, steps = RECIPES[name].start, 0
        while start and start.split(" and ")[0] in RECIPES:
            start, steps = RECIPES[start.split(" and ")[0]].start, steps + 1
        assert steps <= 2
        assert start in (None, "VGG16", "CaffeNet", "GoogLeNet")


def test_biases_of_alexnet():
    """Its public network gives the doubled rate and no decay to score_fr's bias alone."""
    net = models.build("fcn_alexnet", 4, seed=None, width=2)
    rule = SGD(net, 1.0, multipliers=RECIPES["fcn_alexnet-heavy"].multipliers).multipliers
    assert rule["score_fr.bias"] == (2, 0)
    assert {rule[name] for name in net.params if name != "score_fr.bias"} == {(1, 1)}
    assert RECIPES["fcn32s-heavy"].multipliers is None


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("fcn16s", "fcn16s-heavy"),
        ("fcn_googlenet", "fcn_googlenet-cvpr"),
        ("fcn8s_two_heads", "siftflow-fcn8s-heavy"),
        ("mini_fcn8s", "mini"),
        ("mini_fcn8s_dilated", "mini"),
        ("fcn8s_dilated", "fcn32s-heavy"),
        ("fcn8s_concat", "fcn8s-heavy"),
        (None, "mini"),
        ("nonsense", "mini"),
    ],
)
def test_the_usual_recipe_of_a_network(model, name):
    assert recipes.usual(model) == name


def test_an_unknown_name():
    with pytest.raises(InputError, match="no recipe 'fcn4s-heavy'"):
        recipes.find("fcn4s-heavy")


def test_table():
    text = recipes.table()
    for name, r in RECIPES.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert float(line.split()[1]) == r.lr
        assert line.split()[2] == r.reduction
        assert f"{r.steps:,}" in line
    for source in {r.source for r in RECIPES.values()}:
        assert source in text


def test_sums_and_means_of_the_recipes_are_of_one_kind():
    """1e-10 summed over a 375x500 picture, with momentum 0.99, moves a weight about as far as the text's 1e-4 .. 1e-3
    averaged over it, with 0.9: the two recipes agree to an order of magnitude or two."""
    pixels = 375 * 500
    heavy, cvpr = RECIPES["fcn32s-heavy"], RECIPES["fcn32s-cvpr"]
    reach = recipes.same_step(heavy.lr, "sum", pixels) / (1 - heavy.momentum)
    assert 1 < reach / (cvpr.lr / (1 - cvpr.momentum)) < 100
    assert np.isclose(reach, 1.9e-3, rtol=0.02)
