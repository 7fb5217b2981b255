"""A network, the optimiser and a checkpoint together: Caffe's update by hand, and a run that is resumed."""

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch.models import build
from fcn_from_scratch.training import SGD, Trainer, checkpoint, stepped


def small(seed=1, **options):
    net = build("mini_fcn16s", 3, width=2, dtype=np.float64, seed=seed, **options)
    rng = np.random.default_rng(seed)
    for array in net.params.values():
        array[...] = rng.normal(size=array.shape) / 3
    return net


def fill_grads(net, rng):
    for gradient in net.grads.values():
        gradient[...] = rng.normal(size=gradient.shape)


class TestCaffesUpdate:
    def test_by_hand(self, rng):
        """V <- 0.9 V + rate * (g / 4 + decay * w), w <- w - V; a bias has twice the rate and no decay."""
        net = small()
        sgd = SGD(net, lr=0.1, momentum=0.9, weight_decay=0.05)
        w = net.state_dict()
        v = dict.fromkeys(w, 0.0)
        for _ in range(3):
            fill_grads(net, rng)
            for name, gradient in net.grads.items():
                rate, decay = (0.2, 0.0) if name.endswith("bias") else (0.1, 0.05)
                v[name] = 0.9 * v[name] + rate * (gradient / 4 + decay * w[name])
                w[name] = w[name] - v[name]
            sgd.step(iter_size=4)
        for name, array in net.params.items():
            close(array, w[name])
            close(sgd.velocity[name], v[name])
        assert sgd.steps == 3

    def test_the_velocity_holds_the_rate(self, rng):
        """When the rate drops to nothing, the velocity still carries the old steps (PyTorch's rule stops at once)."""
        net = small()
        sgd = SGD(net, stepped(1.0, every=1, factor=0.0), momentum=0.5)
        fill_grads(net, rng)
        start = net.state_dict()
        for moved in (1, 1.5, 1.75):
            sgd.step()
            for name, array in net.params.items():
                rate = 2 if name.endswith("bias") else 1
                close(array, start[name] - moved * rate * net.grads[name])
        assert sgd.lr == 0

    def test_a_frozen_trunk_does_not_move(self, rng):
        net = small().freeze_trunk()
        before = net.state_dict()
        fill_grads(net, rng)
        SGD(net, lr=1.0, weight_decay=0.1).step()
        for name, array in net.params.items():
            assert (array != before[name]).all() == name.startswith("score")
            assert name.startswith("score") or (array == before[name]).all()

    def test_patterns_the_first_match_counts(self, rng):
        net = small()
        before = net.state_dict()
        fill_grads(net, rng)
        SGD(net, 1.0, multipliers={"conv1_1.*": (0.0, 1.0), "score_*": (10.0, 1.0), "*": (1.0, 1.0)}).step()
        for name, array in net.params.items():
            factor = 0 if name.startswith("conv1_1") else 10 if name.startswith("score_") else 1
            close(array, before[name] - factor * net.grads[name])
        with refuses("no multiplier pattern matches the parameter 'conv1_1.bias'"):
            SGD(net, 1.0, multipliers={"*.weight": (1.0, 1.0)})


class Draws:
    """Random batches whose state is their number."""

    def __init__(self):
        self.drawn = 0

    def __next__(self):
        rng = np.random.default_rng([5, self.drawn])
        self.drawn += 1
        return rng.normal(size=(1, 3, 33, 40)), rng.integers(0, 3, (1, 33, 40))

    def state_dict(self):
        return {"drawn": self.drawn}

    def load_state_dict(self, state):
        self.drawn = state["drawn"]


def trainer(seed, **options):
    net = small(seed, dropout=0.5)
    return Trainer(net, SGD(net, stepped(0.05, every=3), momentum=0.9, weight_decay=0.01), Draws(), **options)


class TestResume:
    def test_goes_on_as_if_never_interrupted(self, tmp_path):
        one = trainer(seed=1)
        one.run(4, progress=False, save=lambda: checkpoint.save(tmp_path / "a.npz", one, extra={"note": "four"}))
        other = trainer(seed=2)
        assert checkpoint.load(tmp_path / "a.npz", other) == {"note": "four"}
        assert other.steps == 4
        assert other.losses == one.losses
        one.run(7, progress=False)
        other.run(7, progress=False)
        assert len(set(one.losses)) == 7
        assert other.losses == one.losses
        for name, array in one.model.params.items():
            np.testing.assert_array_equal(other.model.params[name], array)
            np.testing.assert_array_equal(other.optimizer.velocity[name], one.optimizer.velocity[name])

    def test_another_network_is_refused_and_left_alone(self, tmp_path):
        one = trainer(seed=1)
        checkpoint.save(tmp_path / "a.npz", one)
        other = trainer(seed=2)
        other.model.trunk.children["fc6"].params["bias"] = np.ones(3)
        before = other.model.state_dict()
        with refuses("does not fit this run", "fc6.bias is float64(3,) here, float64(16,) there"):
            checkpoint.load(tmp_path / "a.npz", other)
        for name, array in other.model.state_dict().items():
            np.testing.assert_array_equal(array, before[name])

    def test_accumulated_batches_are_averaged(self):
        """Two batches of one picture at iter_size 2 take the step of one batch of both."""
        one, two = trainer(seed=1), trainer(seed=1, iter_size=2)
        for each in (one, two):
            for name in ("drop6", "drop7"):
                each.model.children[name].p = 0.0
        draws = Draws()
        pairs = [next(draws) for _ in range(2)]
        one.batches = iter([tuple(np.concatenate(arrays) for arrays in zip(*pairs))])
        assert one.step() == pytest.approx(two.step(), rel=1e-12)
        for name, array in one.model.params.items():
            close(two.model.params[name], array)
