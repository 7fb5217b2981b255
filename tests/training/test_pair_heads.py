"""Two heads: which scores meet which labels, one loss for both, one matrix for each."""

import matfile
import numpy as np
import pytest
import trees

from fcn_from_scratch import datasets, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Batches, InMemory, SIFTFlow
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.training import SGD, Trainer, constant, evaluate, evaluate_heads, segment
from fcn_from_scratch.training.pair_heads import pair_heads


@pytest.fixture
def scenes(tmp_path, rng):
    folder, _ = trees.siftflow(tmp_path, rng, ["coast_1"], ["coast_2", "street_3"])
    return InMemory(SIFTFlow(folder))


def network(name="mini_fcn8s_two_heads", classes=33):
    model = models.build(name, classes, width=4)
    rng = np.random.default_rng(1)
    for key, array in model.params.items():  # score layers start at zero: nothing would reach the trunk
        if key.startswith("score") and key.endswith("weight"):
            array[...] = 0.1 * rng.standard_normal(array.shape)
    return model


def trainer(model, dataset, **options):
    batches = Batches(dataset, 2, datasets.Preprocess(std=(60, 60, 60)), shuffle=None)
    return Trainer(model, SGD(model, constant(1e-3)), batches, **options)


# --- pairs ----------------------------------------------------------------------------------------------------


def test_each_head_meets_its_own_labels(rng):
    scores = rng.standard_normal((2, 5, 3, 4)), rng.standard_normal((2, 3, 3, 4))
    labels = rng.integers(3, size=(2, 2, 3, 4))
    (one, ids), (other, more) = pair_heads(scores, labels)
    assert one is scores[0]
    assert other is scores[1]
    np.testing.assert_array_equal(ids, labels[:, 0])
    np.testing.assert_array_equal(more, labels[:, 1])


def test_one_head_meets_the_first_labels(rng):
    scores, labels = rng.standard_normal((2, 5, 3, 4)), rng.integers(3, size=(2, 2, 3, 4))
    ((same, ids),) = pair_heads(scores, labels)
    assert same is scores
    np.testing.assert_array_equal(ids, labels[:, 0])
    assert pair_heads(scores, labels[:, 1])[0][1].shape == (2, 3, 4)


def test_a_classifier_has_one_label_a_picture(rng):
    scores, labels = rng.standard_normal((4, 5)), rng.integers(5, size=4)
    ((same, ids),) = pair_heads(scores, labels)
    assert same is scores
    assert ids is labels


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 3, 4), (2, 3, 3, 4)])
def test_heads_without_labels_are_refused(shape):
    scores = np.zeros((2, 5, 3, 4)), np.zeros((2, 3, 3, 4))
    with pytest.raises(InputError, match=r"the network has 2 heads, the dataset [13] label map"):
        pair_heads(scores, np.zeros(shape, int))


# --- training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_is_the_sum_of_both(scenes, reduction):
    """And its gradient is the sum of those of either head alone: in the trunk added, in the heads each its own."""
    model = network()
    run = trainer(model, scenes, reduction=reduction)
    x, labels = next(trainer(model, scenes).batches)
    scores = model(x)
    expected, grads = 0, []
    for head in (0, 1):
        loss, dscores = softmax_cross_entropy(scores[head], labels[:, head], 255, reduction)
        expected += float(loss)
        model.zero_grad()
        model(x)
        both = [np.zeros_like(s) for s in scores]
        both[head] = dscores
        model.backward_params(tuple(both))
        grads.append({name: grad.copy() for name, grad in model.grads.items()})
    model.zero_grad()
    run.optimizer.step = lambda iter_size: None  # the gradients are looked at, the weights stay
    assert run.step() == pytest.approx(expected, rel=1e-6)
    for name, grad in model.grads.items():
        np.testing.assert_allclose(grad, grads[0][name] + grads[1][name], rtol=1e-3, atol=1e-4 * np.abs(grad).max())
    assert not grads[0]["score_fr_geo.weight"].any()
    assert grads[1]["score_fr_geo.weight"].any()
    assert grads[0]["conv1_1.weight"].any()
    assert grads[1]["conv1_1.weight"].any()


def test_class_weights_are_the_first_heads(scenes):
    """33 of them would not fit the 3 geometric classes."""
    model = network()
    weight = np.linspace(0.5, 2, 33).astype(np.float32)
    x, labels = next(trainer(model, scenes).batches)
    semantic, geometric = model(x)
    expected = softmax_cross_entropy(semantic, labels[:, 0], 255, "mean", weight)[0]
    expected += softmax_cross_entropy(geometric, labels[:, 1], 255, "mean")[0]
    run = trainer(model, scenes, class_weight=weight)
    assert run.step() == pytest.approx(float(expected), rel=1e-6)


def test_a_network_with_one_head_learns_the_semantic_labels(scenes):
    model = network("mini_fcn8s")
    x, labels = next(trainer(model, scenes).batches)
    expected, _ = softmax_cross_entropy(model(x), labels[:, 0], 255, "mean")
    assert trainer(model, scenes).step() == pytest.approx(float(expected), rel=1e-6)


# --- scoring --------------------------------------------------------------------------------------------------


def test_each_head_has_a_matrix_of_its_own(scenes):
    model = network()
    matrices = evaluate_heads(model, scenes)
    assert {name: matrix.num_classes for name, matrix in matrices.items()} == {"semantic": 33, "geometric": 3}
    hits = valid = 0
    model.eval()
    for sample in scenes:
        called = model(model.transform(sample.image)[None])[1][0].argmax(axis=0)
        counted = sample.labels[1] != 255
        hits, valid = hits + (called == sample.labels[1])[counted].sum(), valid + counted.sum()
    assert matrices["geometric"].matrix.sum() == valid
    assert matrices["geometric"].scores()["pixel_accuracy"] == pytest.approx(hits / valid)
    assert (evaluate(model, scenes).matrix == matrices["semantic"].matrix).all()
    np.testing.assert_array_equal(segment(model, scenes[0].image).shape, trees.SIZE)


def test_one_head_is_scored_on_the_semantic_labels(scenes):
    assert list(evaluate_heads(network("mini_fcn8s"), scenes)) == ["semantic"]


def test_labels_beyond_a_head_are_named(tmp_path, rng):
    """A file with a fourth geometric class is refused when it is read, not aliased into another row."""
    folder, _ = trees.siftflow(tmp_path, rng, ["coast_1"], ["coast_2"])
    values = np.full(trees.SIZE, 4, np.int16)
    trees.mat(folder / "GeoLabels" / trees.SCENES / "coast_2.mat", matfile.array(values, "S"))
    with pytest.raises(InputError, match=r"coast_2\.mat \(its numbers minus 1\) contain the id 3"):
        evaluate_heads(network(), SIFTFlow(folder))
