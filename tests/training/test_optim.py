"""SGD against Caffe's rule, written out here once more, and against PyTorch's; learning rates by hand."""

import numpy as np
import pytest
from arrays import refuses, torch_module

from fcn_from_scratch import plain
from fcn_from_scratch.layers import Conv2d
from fcn_from_scratch.training import SGD, constant, polynomial, stepped, warm_up

SHAPES = {"conv.weight": (4, 3, 2, 2), "conv.bias": (4,), "score.weight": (2, 4, 1, 1), "score.bias": (2,)}
CAFFE = {"conv.weight": (1, 1), "conv.bias": (2, 0), "score.weight": (1, 1), "score.bias": (2, 0)}


class Model:
    """Parameters whose gradients the test says."""

    def __init__(self, dtype=np.float64, seed=1):
        rng = np.random.default_rng(seed)
        self.params = {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}
        self.grads = {name: np.zeros_like(array) for name, array in self.params.items()}
        self.frozen = set()

    def frozen_params(self):
        return self.frozen


def gradients(number, seed=2):
    """`number` random gradients of every parameter."""
    rng = np.random.default_rng(seed)
    return [{name: rng.standard_normal(shape) for name, shape in SHAPES.items()} for _ in range(number)]


def caffe(w, batches, lrs, momentum, decay, lr_mult, decay_mult, iter_size):
    """The rule, one number at a time. batches[t * iter_size + i] is the gradient of step t's i-th batch."""
    w, v = list(map(float, w.ravel())), [0.0] * w.size
    for step, lr in enumerate(lrs):
        for place in range(len(w)):
            total = 0.0
            for part in range(iter_size):
                total += float(batches[step * iter_size + part].ravel()[place])
            g = total / iter_size + decay * decay_mult * w[place]
            v[place] = momentum * v[place] + lr * lr_mult * g
            w[place] = w[place] - v[place]
    return np.array(w), np.array(v)


def train(model, optimizer, batches, iter_size=1):
    for start in range(0, len(batches), iter_size):
        for name, gradient in model.grads.items():
            gradient[...] = sum(batch[name] for batch in batches[start : start + iter_size])
        optimizer.step(iter_size)


class TestCaffe:
    def test_some_rows_at_a_time_give_the_same_bits(self, monkeypatch):
        batches, moved = gradients(3), []
        for at_once in (1 << 16, 5):
            monkeypatch.setattr("fcn_from_scratch.engine.threads.AT_ONCE", at_once)
            model = Model(np.float32)
            optimizer = SGD(model, 0.1, 0.9, 0.01)
            train(model, optimizer, batches)
            moved.append([*model.params.values(), *optimizer.velocity.values()])
        for whole, rows in zip(*moved):
            np.testing.assert_array_equal(whole, rows)

    @pytest.mark.parametrize("iter_size", [1, 3])
    @pytest.mark.parametrize("decay", [0.0, 0.1])
    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    @pytest.mark.parametrize("rates", [(0.1,) * 4, (0.3, 0.1, 0.01, 0.2)])
    @pytest.mark.parametrize("by_plain", [False, True])
    def test_the_rule(self, by_plain, rates, momentum, decay, iter_size):
        model, batches = Model(), gradients(4 * iter_size)
        before = {name: w.copy() for name, w in model.params.items()}
        optimizer = SGD(model, lambda step: rates[step], momentum, decay)
        with plain(by_plain):
            train(model, optimizer, batches, iter_size)
        assert optimizer.steps == 4
        for name, w in model.params.items():
            expected, velocity = caffe(
                before[name], [b[name] for b in batches], rates, momentum, decay, *CAFFE[name], iter_size
            )
            np.testing.assert_allclose(w.ravel(), expected, rtol=1e-13, atol=1e-14, err_msg=name)
            np.testing.assert_allclose(optimizer.velocity[name].ravel(), velocity, rtol=1e-12, atol=1e-14)

    def test_two_steps_by_hand(self):
        model = Model()
        for w in model.params.values():
            w[...] = 2.0
        optimizer = SGD(model, 0.5, momentum=0.5, weight_decay=0.1)
        train(model, optimizer, [{name: np.ones(shape) for name, shape in SHAPES.items()}] * 2)
        # weight: V = 0.5 (1 + 0.2) = 0.6, w = 1.4; V = 0.3 + 0.5 (1 + 0.14) = 0.87, w = 0.53
        # bias, twice the rate, no decay: V = 1, w = 1; V = 0.5 + 1 = 1.5, w = -0.5
        np.testing.assert_allclose(model.params["conv.weight"], 0.53, rtol=1e-14)
        np.testing.assert_allclose(model.params["score.bias"], -0.5, rtol=1e-14)

    def test_multipliers_by_name(self):
        factors = {"conv.weight": (0, 1), "score.*": (10, 3), "*": (0.5, 1), "conv.bias": (99, 99)}
        model, batches = Model(), gradients(3)
        before = {name: w.copy() for name, w in model.params.items()}
        train(model, SGD(model, 0.01, 0.9, 0.1, factors), batches)
        np.testing.assert_array_equal(model.params["conv.weight"], before["conv.weight"], "lr_mult 0 stops decay too")
        for name, pair in {"score.weight": (10, 3), "score.bias": (10, 3), "conv.bias": (0.5, 1)}.items():
            expected, _ = caffe(before[name], [b[name] for b in batches], (0.01,) * 3, 0.9, 0.1, *pair, 1)
            np.testing.assert_allclose(model.params[name].ravel(), expected, rtol=1e-13, err_msg=name)

    def test_float32_stays_float32(self):
        model, batches = Model(np.float32), gradients(3)
        before = {name: w.copy() for name, w in model.params.items()}
        live = dict(model.params)
        optimizer = SGD(model, 0.1, 0.9, 0.1)
        train(model, optimizer, batches)
        for name, w in model.params.items():
            assert w is live[name], "the layers hold these arrays: they are changed in place"
            assert w.dtype == optimizer.velocity[name].dtype == np.float32
            expected, _ = caffe(before[name], [b[name] for b in batches], (0.1,) * 3, 0.9, 0.1, *CAFFE[name], 1)
            np.testing.assert_allclose(w.ravel(), expected, rtol=1e-5, atol=1e-6)

    def test_a_rate_far_below_a_sum_of_pixels_still_moves(self):
        """1e-14, as for the paper's FCN-8s: the gradient of a summed loss is of the order of 1e5 and more."""
        model = Model(np.float32)
        for w in model.params.values():
            w[...] = 0
        train(model, SGD(model, 1e-14, 0.99, 5e-4), [{name: np.full(s, 1e6) for name, s in SHAPES.items()}])
        np.testing.assert_allclose(model.params["conv.weight"], -1e-8, rtol=1e-6)
        np.testing.assert_allclose(model.params["conv.bias"], -2e-8, rtol=1e-6)


class TestFrozen:
    def test_neither_gradient_nor_decay_nor_momentum_moves_it(self):
        model, batches = Model(), gradients(4)
        optimizer = SGD(model, 0.1, 0.9, 0.1)
        train(model, optimizer, batches[:2])
        model.frozen = {"conv.weight", "conv.bias"}
        weights = {name: w.copy() for name, w in model.params.items()}
        velocity = {name: v.copy() for name, v in optimizer.velocity.items()}
        train(model, optimizer, batches[2:])
        for name, w in model.params.items():
            frozen = name.startswith("conv")
            assert np.array_equal(w, weights[name]) is frozen, name
            assert np.array_equal(optimizer.velocity[name], velocity[name]) is frozen, name
        assert optimizer.steps == 4

    def test_a_bare_layer_has_no_frozen_params(self, rng):
        layer = Conv2d(3, 2, 1, rng=rng, dtype=np.float64, name="conv")
        before = layer.params["weight"].copy()
        layer.grads["weight"][...] = 1
        SGD(layer, 0.25, 0.0).step()
        np.testing.assert_allclose(layer.params["weight"], before - 0.25, rtol=1e-15)


@pytest.mark.torch
class TestPyTorch:
    """torch.optim.SGD: V = momentum * V + g; w = w - lr * V, with the rate outside."""

    def both(self, rates, momentum=0.9, decay=0.1):
        """Our model and PyTorch's weights and velocities after the same steps."""
        torch = torch_module()
        model, batches = Model(), gradients(len(rates))
        tensors = {name: torch.tensor(w, requires_grad=True) for name, w in model.params.items()}
        groups = [
            {"params": [tensors[name]], "lr": rates[0] * lr_mult, "weight_decay": decay * decay_mult}
            for name, (lr_mult, decay_mult) in CAFFE.items()
        ]
        theirs = torch.optim.SGD(groups, momentum=momentum)
        ours = SGD(model, lambda step: rates[step], momentum, decay)
        for step, batch in enumerate(batches):
            for group, (name, (lr_mult, _)) in zip(theirs.param_groups, CAFFE.items()):
                group["lr"] = rates[step] * lr_mult
                tensors[name].grad = torch.tensor(batch[name])
            if step == len(batches) - 1:
                buffers = {name: theirs.state[t]["momentum_buffer"].numpy().copy() for name, t in tensors.items()}
            theirs.step()
        train(model, ours, batches)
        return model, {name: t.detach().numpy() for name, t in tensors.items()}, buffers

    def test_equal_while_the_rate_stays(self):
        model, theirs, _ = self.both([0.05] * 6)
        for name, w in model.params.items():
            np.testing.assert_allclose(w, theirs[name], rtol=1e-12, atol=1e-13, err_msg=name)

    def test_when_it_drops_caffe_still_carries_the_old_steps(self):
        """In the step of the drop Caffe goes momentum * (old - new rate) * V further, V PyTorch's velocity."""
        model, theirs, buffers = self.both([0.05] * 5 + [0.005])
        for name, w in model.params.items():
            further = 0.9 * CAFFE[name][0] * (0.05 - 0.005) * buffers[name]
            assert np.abs(further).min() > 1e-6
            np.testing.assert_allclose(theirs[name] - w, further, rtol=1e-9, err_msg=name)


class TestSchedules:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            (constant(0.3), {0: 0.3, 7: 0.3, 10**6: 0.3}),
            (stepped(8.0, 10), {0: 8.0, 9: 8.0, 10: 0.8, 19: 0.8, 20: 0.08, 35: 0.008}),
            (stepped(8.0, 3, 0.5), {2: 8.0, 3: 4.0, 6: 2.0, 11: 1.0}),
            (polynomial(2.0, 4, 1.0), {0: 2.0, 1: 1.5, 2: 1.0, 3: 0.5, 4: 0.0, 5: 0.0, 99: 0.0}),
            (polynomial(2.0, 4, 2.0), {0: 2.0, 1: 1.125, 2: 0.5, 3: 0.125, 4: 0.0}),
            (polynomial(1.0, 100), {0: 1.0, 50: 0.5358867312681466, 99: 0.015848931924611134, 100: 0.0}),
            (warm_up(constant(1.0), 4), {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 1.0, 5: 1.0}),
            (warm_up(constant(1.0), 0), {0: 1.0, 1: 1.0}),
            (warm_up(polynomial(2.0, 4, 1.0), 1), {0: 1.0, 1: 1.5, 2: 1.0}),
        ],
    )
    def test_values(self, schedule, expected):
        np.testing.assert_allclose([schedule(step) for step in expected], list(expected.values()), rtol=1e-12)

    def test_the_optimiser_goes_through_it(self):
        model = Model()
        optimizer = SGD(model, stepped(1.0, 2, 0.1), 0.0)
        seen = []
        for _ in range(5):
            seen.append(optimizer.lr)
            train(model, optimizer, gradients(1))
        np.testing.assert_allclose(seen, [1, 1, 0.1, 0.1, 0.01], rtol=1e-14)

    def test_a_number_is_a_constant(self):
        optimizer = SGD(Model(), 0.25)
        optimizer.steps = 1000
        assert optimizer.lr == 0.25


class TestState:
    def test_going_on_from_a_copy(self):
        batches = gradients(6)
        model = Model()
        optimizer = SGD(model, polynomial(0.1, 8), 0.9, 0.1)
        train(model, optimizer, batches[:3])
        saved, weights = optimizer.state_dict(), {name: w.copy() for name, w in model.params.items()}
        train(model, optimizer, batches[3:])

        other = Model(seed=9)
        for name, w in weights.items():
            other.params[name][...] = w
        again = SGD(other, polynomial(0.1, 8), 0.9, 0.1)
        again.load_state_dict(saved, 3)
        train(other, again, batches[3:])
        assert again.steps == 6
        for name, w in model.params.items():
            np.testing.assert_array_equal(other.params[name], w)
            np.testing.assert_array_equal(again.velocity[name], optimizer.velocity[name])


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"lr": -0.1}, "lr must not be negative; got -0.1"),
            ({"lr": float("nan")}, "lr must not be negative; got nan"),
            ({"momentum": 1.0}, "momentum must be a probability, at least 0 and below 1; got 1.0"),
            ({"momentum": -0.1}, "momentum must be a probability"),
            ({"weight_decay": -1e-4}, "weight_decay must not be negative"),
            ({"weight_decay": float("nan")}, "weight_decay must not be negative"),
            ({"multipliers": {"conv.*": (1, 1)}}, "no multiplier pattern matches the parameter 'score.weight'"),
        ],
    )
    def test_optimiser(self, arguments, message):
        with refuses(message):
            SGD(Model(), **{"lr": 0.1, **arguments})

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: constant(-1), "lr must not be negative"),
            (lambda: stepped(-1, 5), "lr must not be negative"),
            (lambda: stepped(1, 0), "every must be at least 1; got 0"),
            (lambda: polynomial(float("nan"), 5), "lr must not be negative"),
            (lambda: polynomial(1, 0), "steps must be at least 1; got 0"),
            (lambda: polynomial(1, 2.5), "steps must be an integer; got 2.5"),
            (lambda: warm_up(constant(1), -1), "steps must be at least 0; got -1"),
        ],
    )
    def test_schedules(self, make, message):
        with refuses(message):
            make()
