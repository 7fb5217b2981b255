"""A step over the parts of a batch, each on its own thread, equals the step over the whole batch."""

import itertools

import numpy as np
import pytest
from arrays import refuses

import fcn_from_scratch
from fcn_from_scratch import models
from fcn_from_scratch.engine import loss_shares, micro_batches, threads
from fcn_from_scratch.layers import Container, Conv2d, Dropout, Layer, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.training import SGD, Trainer
from fcn_from_scratch.training.objective import Objective

WEIGHTS = np.array([0.2, 3.0, 1.0, 0.0, 7.0, 0.5])


@pytest.fixture
def cut(monkeypatch):
    """Cut batches into parts of two, even of tiny pictures. Returns: a list with the number of parts of each batch."""
    monkeypatch.setattr(micro_batches, "MOST_PIXELS", 2 * 33 * 38)
    monkeypatch.setattr(micro_batches, "LEAST_PIXELS", 1)
    seen, original = [], micro_batches.MicroBatches.run
    monkeypatch.setattr(
        micro_batches.MicroBatches,
        "run",
        lambda self, slices, *rest: seen.append(len(slices)) or original(self, slices, *rest),
    )
    return seen


@pytest.fixture
def whole(monkeypatch):
    """Returns: a function that switches cutting off."""
    return lambda: monkeypatch.setattr(micro_batches, "MOST_NUMBERS", -1)


class Pictures:
    """Random batches of 5, 4 and 3 pictures.

    In the second batch no pixel of the first two pictures counts. In the third no pixel counts at all.
    """

    def __init__(self, channels=3, heads=1, dtype=np.float64):
        rng = np.random.default_rng(4)
        self.batches = []
        for number, count in enumerate((5, 4, 3)):
            x = rng.standard_normal((count, channels, 33, 38)).astype(dtype)
            labels = rng.integers(6 if heads == 1 else 3, size=(count, heads, 33, 38))
            labels[rng.random(labels.shape) < 0.3] = 255
            labels[: (0, 2, 3)[number]] = 255
            self.batches.append((x, labels if heads > 1 else labels[:, 0]))
        self.order = itertools.cycle(self.batches)

    def __next__(self):
        return next(self.order)

    def state_dict(self):
        return {}


def trainer(name="mini_fcn8s", dtype=np.float64, freeze=False, **options):
    heads = 2 if "two_heads" in name else 1
    model = models.build(name, 6, seed=1, width=2, dropout=0.4, dtype=dtype)
    rng = np.random.default_rng(7)
    for key, array in model.params.items():
        if key.startswith("score"):
            array[...] = 0.2 * rng.standard_normal(array.shape)
    if freeze:
        model.freeze_trunk()
    channels = 6 if "late_fusion" in name else next(iter(model.params.values())).shape[1]
    lr = 1e-4 if options.get("reduction") == "sum" else 0.05
    return Trainer(model, SGD(model, lr, 0.9, 5e-4), Pictures(channels, heads, dtype), **options)


def end_of(run, steps=4):
    losses = [run.step() for _ in range(steps)]
    states = [generator.bit_generator.state for generator in run.model.generators().values()]
    return np.array(losses), {name: np.array(w) for name, w in run.model.params.items()}, states


OPTIONS = {
    "mean": {},
    "sum": {"reduction": "sum"},
    "class weights": {"class_weight": WEIGHTS},
    "two batches a step": {"iter_size": 2},
    "frozen trunk": {"freeze": True},
}
MINI = [name for name in models.NAMES if name.startswith("mini") and name != "mini_classifier"]


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in MINI] + [("mini_fcn8s", options) for options in OPTIONS.values()]
    + [("mini_fcn8s_two_heads", {"class_weight": WEIGHTS})],
)  # fmt: skip
def test_parts_are_the_whole(name, options, cut, whole):
    """In float64, with dropout, momentum and odd batches. In some parts, and in one whole batch, no pixel counts."""
    losses, weights, states = end_of(trainer(name, **options))
    assert set(cut) == {2, 3}, "batches of 3 and 4 in two parts, of 5 in three"
    whole()
    count = len(cut)
    plain_losses, plain_weights, plain_states = end_of(trainer(name, **options))
    assert len(cut) == count, "nothing was cut"
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-10, atol=1e-13)
    for key, expected in plain_weights.items():
        bound = 1e-10 * max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(weights[key], expected, rtol=0, atol=bound, err_msg=key)
    assert states == plain_states


@pytest.mark.parametrize("number", [2, 5])
def test_the_number_of_threads_changes_nothing(number, cut, monkeypatch):
    """In float32, bit for bit, whichever thread took which part."""
    ends = []
    for workers in (1, number, number):
        monkeypatch.setattr(threads, "most", lambda workers=workers: workers)
        threads._team.cache_clear()
        ends.append(end_of(trainer(dtype=np.float32)))
        if workers > 1:
            threads._team().close()
    threads._team.cache_clear()
    np.testing.assert_equal(ends[1:], [ends[0]] * 2)
    assert cut


def test_parts():
    """The number of parts depends on the pixels of a picture. It is at least two, and one picture is not cut."""
    cut = micro_batches.MicroBatches(Sequential(Conv2d(3, 2, 1))).cut

    def sizes(*shape):
        return [part.stop - part.start for part in cut(np.empty(shape, np.float32))]

    assert sizes(8, 3, 64, 64) == [4, 4]
    assert sizes(8, 3, 128, 128) == [2, 2, 2, 2]
    assert sizes(7, 3, 100, 160) == [1, 2, 2, 2]
    assert sizes(3, 3, 300, 300) == [1, 1, 1]
    assert sizes(1, 3, 500, 500) == [1]
    assert sizes(7, 3, 64, 64) == [7], "two parts would be too small"
    assert sizes(20, 3, 32, 32) == [20]


class Centred(Layer):
    """A reader's own layer that looks at the whole batch."""

    def _forward(self, x):
        return x - x.mean(axis=0), ()

    def _backward(self, dy, cache):
        return dy - dy.mean(axis=0)


def test_what_is_not_cut(monkeypatch):
    """A reader's layers, replaced methods, many parameters."""
    monkeypatch.setattr(micro_batches, "LEAST_PIXELS", 1)
    x = np.zeros((4, 3, 8, 8))
    own = Sequential(Conv2d(3, 2, 3), ReLU(), Centred(name="own"))
    replaced = Sequential(Conv2d(3, 2, 3), MaxPool2d(2))
    assert len(micro_batches.MicroBatches(replaced).cut(x)) == 2
    replaced.layers[1].forward = replaced.layers[1].forward
    for model, name in ((own, "Centred 'own'"), (replaced, "MaxPool2d '1'"), (lambda x: x, "function")):
        batches = micro_batches.MicroBatches(model)
        assert batches.cut(x) == [slice(0, 4)]
        assert batches.uncut.startswith(f"{name} may look at the whole batch, so no batch is cut")
    declared = Sequential(Conv2d(3, 2, 3), type("Doubled", (Centred,), {"per_picture": True})(name="own"))
    assert len(micro_batches.MicroBatches(declared).cut(x)) == 2
    with fcn_from_scratch.plain():
        assert len(micro_batches.MicroBatches(declared).cut(x)) == 1
        with fcn_from_scratch.plain(False):
            assert len(micro_batches.MicroBatches(declared).cut(x)) == 2
        assert len(micro_batches.MicroBatches(declared).cut(x)) == 1
    drawing = Sequential(Conv2d(3, 2, 3), type("Noisy", (Dropout,), {"per_picture": True})(name="own"))
    assert len(micro_batches.MicroBatches(drawing).cut(x)) == 1
    plain = micro_batches.MicroBatches(Sequential(Conv2d(3, 2, 3)))
    monkeypatch.setattr(micro_batches, "MOST_NUMBERS", 3 * 2 * 9 + 2)
    assert len(plain.cut(x)) == 2
    monkeypatch.setattr(micro_batches, "MOST_NUMBERS", 3 * 2 * 9 + 1)
    assert len(plain.cut(x)) == 1


class Wrapped(Layer):
    """A reader's own layer with a layer inside, whose gradients it hands out as its own."""

    per_picture = True

    def __init__(self, where, name=None):
        super().__init__(name)
        self.inner = where(Conv2d(3, 3, 3, padding=1, rng=np.random.default_rng(5), dtype=np.float64))
        self._params, self._grads = dict(self.conv.params), dict(self.conv.grads)

    @property
    def conv(self):
        if isinstance(self.inner, dict):
            return self.inner["conv"]
        return self.inner[0] if isinstance(self.inner, list) else self.inner

    def _forward(self, x):
        return self.conv(x), ()

    def _backward(self, dy, cache):
        return self.conv.backward(dy)


@pytest.mark.parametrize("where", [lambda layer: layer, lambda layer: [layer], lambda layer: {"conv": layer}])
def test_a_layer_that_hides_layers_is_not_cut(where, cut, whole):
    """Its replica's gradients would be lost: each part has its own."""

    def run():
        model = Sequential(Wrapped(where, name="own"), Conv2d(3, 6, 1, rng=np.random.default_rng(6), dtype=np.float64))
        return Trainer(model, SGD(model, 0.05), Pictures())

    losses = end_of(run())[0]
    assert cut == []
    assert "Wrapped 'own' holds layers that are not among its children" in run()._micro_batches.uncut
    whole()
    np.testing.assert_array_equal(losses, end_of(run())[0])


def test_a_declared_network_that_holds_its_children_is_cut(monkeypatch):
    monkeypatch.setattr(micro_batches, "LEAST_PIXELS", 1)

    class Own(Container):
        per_picture = True

        def __init__(self, *more):
            self.trunk, self.top = Sequential(Conv2d(3, 2, 3), ReLU(), *more), [Conv2d(2, 2, 1)]
            super().__init__({**self.trunk.children, "top": self.top[0]})

    x = np.zeros((4, 3, 8, 8))
    assert len(micro_batches.MicroBatches(Own()).cut(x)) == 2
    assert len(micro_batches.MicroBatches(Own(Dropout(0.5))).cut(x)) == 2  # a child that passes over others' numbers

    class Drawing(Own):
        per_picture = True

        def generators(self):
            return {**super().generators(), "own": np.random.default_rng(0)}

    assert len(micro_batches.MicroBatches(Drawing()).cut(x)) == 1


@pytest.mark.parametrize("pictures", [(0, 4), (4,), (0,)])
def test_wrong_labels_are_named_and_leave_nothing_behind(pictures, cut):
    """Wrong labels in the first part, in the last, in both. The next step equals that of a fresh trainer."""
    run, fresh = trainer(), trainer()
    x, labels = next(run.batches)
    good = x, labels.copy()
    for picture in pictures:
        labels[picture, 0, : picture + 2] = 77
    run.batches, fresh.batches = iter([(x, labels), good]), iter([good])
    for layer in loss_shares.dropouts(run.model) + loss_shares.dropouts(fresh.model):
        layer.p = 0.0
    with refuses("labels contain the id 77 ("):
        run.step()
    assert cut == [3]
    with pytest.raises(RuntimeError, match="forward"):
        run.model.backward(np.zeros((len(x), 6, *x.shape[2:]), x.dtype))
    assert run.step() == fresh.step()
    for name, gradient in fresh.model.grads.items():
        np.testing.assert_array_equal(run.model.grads[name], gradient)


def test_what_only_a_part_refuses_is_raised(cut, monkeypatch):
    run, original = trainer(), Objective.loss

    def refuse(self, scores, *rest):
        if len(scores) < 2:
            raise ValueError("too small")
        return original(self, scores, *rest)

    monkeypatch.setattr(Objective, "loss", refuse)
    with refuses("too small"):
        run.step()


def test_a_loss_that_is_not_finite(cut):
    run = trainer()
    next(iter(run.model.params.values()))[...] = np.inf
    with refuses("the loss of step 0 is nan: the weights are not finite: conv1_1.weight (54 of 54 numbers)"):
        run.step()
    assert cut == [3]


def test_memory_is_used_again(cut):
    """The threads' workspaces are kept from step to step. There are no more of them than threads."""
    run = trainer()
    end_of(run, 3)
    kept = list(run._micro_batches._workspaces)
    assert 1 <= len(kept) <= threads.workers()
    end_of(run, 3)
    assert set(map(id, kept)) <= set(map(id, run._micro_batches._workspaces))
