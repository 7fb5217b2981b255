"""Backward through whole networks: finite differences, forks, scores that start at zero, and a frozen trunk."""

import numpy as np
import pytest
from arrays import close

from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.models import build
from fcn_from_scratch.ops import softmax_cross_entropy

NAMES = ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s", "mini_fcn8s_atonce", "mini_fcn4s"]


def generic(name, rng, num_classes=3, **options):
    """A float64 network none of whose parameters is zero: score layers and biases start there."""
    net = build(name, num_classes, width=3, dtype=np.float64, seed=1, **options)
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif key.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    return net


def gradients(net, x, dscores):
    net.zero_grad()
    net(x)
    net.backward(dscores)
    return {key: gradient.copy() for key, gradient in net.grads.items()}


class TestFiniteDifferences:
    def check(self, net, rng, size=(21, 38)):
        x = rng.normal(size=(2, 3, *size))
        # Small steps, so that none of some ten thousand ReLUs and maxima meets its kink; smaller ones lose digits.
        errors = layer_check(net, x, rng, directions=2, eps=1e-6)
        assert errors.keys() == {"dx", *net.params}
        assert max(errors.values()) < 1e-7
        for gradient in gradients(net, x, rng.normal(size=(2, 3, *size))).values():
            assert np.abs(gradient).max() > 1e-8

    @pytest.mark.parametrize("name", NAMES)
    def test_every_parameter(self, name, rng):
        self.check(generic(name, rng), rng)

    @pytest.mark.parametrize("upsampling", ["learned", "all_learned"])
    @pytest.mark.parametrize("name", ["mini_fcn16s", "mini_fcn8s"])
    def test_learned_upsampling(self, name, upsampling, rng):
        net = generic(name, rng, upsampling=upsampling)
        for key in net.params:
            if key.startswith("upscore"):  # off the diagonal too
                net.params[key] += 0.2 * rng.normal(size=net.params[key].shape)
        self.check(net, rng)

    def test_with_dropout_in_the_papers_frame(self, rng):
        net = generic("mini_fcn8s", rng, dropout=0.4, fc6_kernel=5, pad=70, fc6_padding=0)
        assert [min(fuse.offset) for _, _, fuse in net.skips] == [3, 5]  # the skips are cropped here
        self.check(net, rng)

    def test_the_papers_geometry(self, rng):
        net = build("fcn8s", 3, width=1, dropout=0.0, dtype=np.float64, seed=3)
        for key, array in net.params.items():
            if key.startswith("score") or key.endswith("bias"):
                array[...] = rng.uniform(0.1, 0.5, size=array.shape)
        self.check(net, rng, size=(9, 14))


class TestForks:
    """pool4 and pool3 feed the next stage and a skip: their gradient is the sum of the two."""

    def reaching(self, net, pool, x, dscores):
        """The gradient with respect to the pool's output, as the pool's own backward receives it."""
        layer, received = net.trunk.children[pool], []
        backward = layer.backward
        layer.backward = lambda dy: backward(received.append(dy.copy()) or dy)
        net(x)
        net.backward(dscores)
        del layer.backward
        return received[0]

    @pytest.mark.parametrize("name", ["mini_fcn16s", "mini_fcn8s", "mini_fcn8s_atonce"])
    def test_pool4(self, name, rng):
        x, dscores = rng.normal(size=(2, 3, 40, 70)), rng.normal(size=(2, 3, 40, 70))
        net = generic(name, rng)
        skip = next(fuse for pool, _, fuse in net.skips if pool == "pool4")
        both = self.reaching(net, "pool4", x, dscores)
        weight = skip.params["weight"].copy()
        skip.params["weight"][...] = 0
        through_stage5 = self.reaching(net, "pool4", x, dscores)
        skip.params["weight"][...] = weight
        net.score_fr.params["weight"][...] = 0
        through_skip = self.reaching(net, "pool4", x, dscores)
        size = np.abs(both).max()
        assert np.abs(through_stage5).max() > 1e-3 * size
        assert np.abs(through_skip).max() > 1e-3 * size
        close(both, through_stage5 + through_skip)

    def test_pool3_hears_of_all_three_scores(self, rng):
        x, dscores = rng.normal(size=(1, 3, 40, 70)), rng.normal(size=(1, 3, 40, 70))
        net = generic("mini_fcn8s", rng)
        scorers = [net.score_fr, *(fuse for _, _, fuse in net.skips)]
        weights = [layer.params["weight"].copy() for layer in scorers]
        both = self.reaching(net, "pool3", x, dscores)
        parts = []
        for kept in range(3):
            for number, layer in enumerate(scorers):
                layer.params["weight"][...] = weights[number] if number == kept else 0
            parts.append(self.reaching(net, "pool3", x, dscores))
            assert np.abs(parts[-1]).max() > 0
        close(both, sum(parts))

    def test_gradients_add_up_over_backwards(self, rng):
        net = generic("mini_fcn8s", rng)
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        once = gradients(net, x, dscores)
        net(x)
        net.backward(dscores)
        for key, gradient in net.grads.items():
            close(gradient, 2 * once[key])

    def test_backward_params_leaves_out_the_images_gradient_alone(self, rng):
        net = generic("mini_fcn8s", rng)
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        expected = gradients(net, x, dscores)
        net.zero_grad()
        net(x)
        assert net.backward_params(dscores) is None
        for key, gradient in net.grads.items():
            close(gradient, expected[key])


class TestStart:
    """The score layers start at zero, the rest does not."""

    def step(self, net, x, labels):
        net.zero_grad()
        loss, dscores = softmax_cross_entropy(net(x), labels)
        net.backward(dscores)
        return loss

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("num_classes", [2, 21])
    def test_first_the_scores_learn_then_the_trunk(self, name, num_classes, rng):
        net = build(name, num_classes, width=4, dtype=np.float64, seed=1)
        x = rng.normal(size=(2, 3, 40, 50))
        labels = rng.integers(0, num_classes, (2, 40, 50))
        labels[:, :5] = 255
        first = self.step(net, x, labels)
        assert first == pytest.approx(np.log(num_classes), rel=1e-12)
        for key, gradient in net.grads.items():
            if key.startswith("score"):
                assert np.abs(gradient).max() > 0
                net.params[key][...] -= 0.02 * gradient
            else:
                assert (gradient == 0).all()
        second = self.step(net, x, labels)
        assert second < first
        assert all(np.abs(gradient).max() > 0 for gradient in net.grads.values())

    def test_a_net_of_zeros_learns_nothing_but_its_bias(self, rng):
        """What a failed transplant looks like: the loss stays near log(num_classes), no weight ever moves."""
        net = build("mini_fcn8s", 5, width=2, dtype=np.float64)
        for array in net.params.values():
            array[...] = 0
        x, labels = rng.normal(size=(1, 3, 40, 50)), rng.integers(0, 5, (1, 40, 50))
        for _ in range(3):
            loss = self.step(net, x, labels)
            assert loss == pytest.approx(np.log(5), abs=0.01)
            for key, gradient in net.grads.items():
                assert np.abs(gradient).any() == (key.startswith("score") and key.endswith("bias"))
                net.params[key][...] -= 0.5 * gradient

    def test_scores_alone_are_zero(self):
        net = build("fcn8s", 3, width=2)
        zero = {key for key, array in net.params.items() if key.endswith("weight") and not array.any()}
        assert zero == {"score_fr.weight", "score_pool4.weight", "score_pool3.weight"}
        assert not any(array.any() for key, array in net.params.items() if key.endswith("bias"))


class TestModes:
    def test_backward_before_forward(self, rng):
        net = generic("mini_fcn8s", rng)
        with pytest.raises(RuntimeError, match="before forward"):
            net.backward(rng.normal(size=(1, 3, 40, 50)))
        net.eval()
        net(rng.normal(size=(1, 3, 40, 50)))
        with pytest.raises(RuntimeError, match="before forward"):
            net.backward(rng.normal(size=(1, 3, 40, 50)))

    def test_dropout_is_off_in_eval_mode(self, rng):
        net = generic("mini_fcn8s", rng, dropout=0.5)
        x = rng.normal(size=(1, 3, 40, 50))
        assert np.abs(net(x) - net(x)).max() > 1e-3
        net.eval()
        np.testing.assert_array_equal(net(x), net(x))
        twin = build("mini_fcn8s", 3, width=3, dropout=0.0, dtype=np.float64)
        twin.load_state_dict(net.state_dict())
        close(net(x), twin(x))

    def test_runs_where_its_arrays_are(self, xp, rng):
        net = generic("mini_fcn8s_atonce", rng, upsampling="learned")
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        scores = net(x)
        expected = gradients(net, x, dscores)
        net.to("cpu" if xp is np else "cuda").zero_grad()
        there = net(xp.asarray(x))
        assert isinstance(there, xp.ndarray)
        close(there, scores)
        assert isinstance(net.backward(xp.asarray(dscores)), xp.ndarray)
        for key, gradient in net.grads.items():
            assert isinstance(gradient, xp.ndarray)
            close(gradient, expected[key])


class TestFrozenTrunk:
    @pytest.fixture
    def net(self, rng):
        return generic("mini_fcn8s", rng, dropout=0.5, upsampling="learned")

    def test_only_the_head_learns(self, net, rng):
        x, dscores = rng.normal(size=(2, 3, 33, 40)), rng.normal(size=(2, 3, 33, 40))
        for name in ("drop6", "drop7"):
            net.trunk.children[name].p = 0.0  # a frozen trunk drops nothing: compare with one that cannot
        expected = gradients(net, x, dscores)
        assert net.freeze_trunk() is net
        net.zero_grad()
        net(x)
        assert net.backward(dscores) is None
        head = ("score", "upscore")
        for key, gradient in net.grads.items():
            assert np.abs(expected[key]).max() > 0
            close(gradient, expected[key] if key.startswith(head) else np.zeros(gradient.shape))
        net.zero_grad()
        net.backward_params(dscores)
        close(net.grads["score_pool4.weight"], expected["score_pool4.weight"])
        assert not net.grads["conv1_1.weight"].any()

    def test_names_what_must_stay(self, net):
        assert net.frozen_params() == set()
        net.freeze_trunk()
        head = {f"{layer}.{n}" for layer in ("score_fr", "score_pool4", "score_pool3") for n in ("weight", "bias")}
        assert net.params.keys() - net.frozen_params() == head | {"upscore2.weight", "upscore_pool4.weight"}

    def test_the_trunk_stays_in_eval_mode(self, net, rng):
        net.freeze_trunk()
        x = rng.normal(size=(1, 3, 33, 40))
        for _ in range(2):
            assert net.training
            assert net.score_fr.training
            assert not any(layer.training for layer in net.trunk.layers)
            np.testing.assert_array_equal(net(x), net(x))
            net.train()
        net.freeze_trunk(False)
        assert all(layer.training for layer in net.trunk.layers)
        assert np.abs(net(x) - net(x)).max() > 1e-3
        assert net.frozen_params() == set()

    def test_freezing_keeps_eval_mode(self, net):
        net.eval().freeze_trunk()
        assert not net.training
        assert not net.score_fr.training
        net.freeze_trunk(False)
        assert not any(layer.training for layer in net.children.values())
