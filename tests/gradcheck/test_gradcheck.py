"""The gradient check itself: right backwards pass, wrong ones fail, and nothing is passed without a check."""

import inspect

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch import layers, ops
from fcn_from_scratch.gradcheck import (
    away_from_zero,
    layer_check,
    numerical_jacobian,
    spaced,
    vjp_check,
    vjp_errors,
    vjp_jacobian,
)
from fcn_from_scratch.gradcheck.cases import find, names, run_cases
from fcn_from_scratch.gradcheck.layers import broken_promises, layer_errors

RIGHT, WRONG = 1e-7, 1e-3


@pytest.fixture
def product(rng):
    """y = x @ w: forward, backward and inputs, of which no two axes are equal."""
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    return (lambda x, w: x @ w), (lambda dy: (dy @ w.T, x.T @ dy)), [x, w]


class TestVerdict:
    def test_right_backward(self, product, rng):
        assert vjp_check(*product, rng) < RIGHT

    def test_one_input_needs_no_list(self, rng):
        x = rng.normal(size=(2, 3))
        assert vjp_check(np.sin, lambda dy: dy * np.cos(x), [x], rng) < RIGHT
        assert vjp_check(np.sin, lambda dy: [dy * np.cos(x)], x, rng) < RIGHT

    @pytest.mark.parametrize("number", [float, np.float64, np.asarray])
    def test_a_scalar_output(self, rng, number):
        x = rng.normal(size=(3, 2))
        assert vjp_check(lambda x: number((x**3).sum()), lambda dy: dy * 3 * x**2, [x], rng) < RIGHT

    def test_an_input_that_is_not_differentiated(self, product, rng):
        forward, backward, inputs = product
        errors = vjp_errors(forward, lambda dy: (backward(dy)[0], None), inputs, rng)
        assert errors[0] < RIGHT
        assert errors[1] is None

    def test_any_memory_layout(self, layout, rng):
        x = layout(rng.normal(size=(2, 3, 4)))
        assert vjp_check(np.tanh, lambda dy: dy / np.cosh(x) ** 2, [x], rng) < RIGHT

    def test_any_array_module(self, xp, rng):
        x = xp.asarray(away_from_zero(rng, (2, 3)))
        assert vjp_check(ops.relu, lambda dy: ops.relu_backward(dy, ops.relu(x)), [x], rng) < RIGHT

    def test_errors_belong_to_their_inputs(self, product, rng):
        forward, backward, inputs = product
        errors = vjp_errors(forward, lambda dy: (backward(dy)[0], 1.01 * backward(dy)[1]), inputs, rng)
        assert errors[0] < RIGHT
        assert errors[1] > WRONG

    @pytest.mark.parametrize("seed", range(20))
    def test_no_false_alarm_where_a_projection_is_tiny_by_chance(self, seed):
        # Two numbers: the gradient is nearly at a right angle to some of the hundred directions.
        x, rng = np.array([0.3, -0.7]), np.random.default_rng(seed)
        assert vjp_check(np.exp, lambda dy: dy * np.exp(x), [x], rng, directions=100) < RIGHT

    def test_no_false_alarm_where_the_gradient_is_zero(self, rng):
        # A bias in front of a normalisation changes nothing; finite differences give some 1e-11 by rounding.
        x, bias = rng.normal(size=(6, 3)), rng.normal(size=3)

        def forward(bias):
            return (x + bias) - (x + bias).mean(axis=0)

        assert vjp_check(forward, lambda dy: np.zeros(3), [bias], rng) < RIGHT
        assert vjp_check(forward, lambda dy: dy.sum(axis=0), [bias], rng) > WRONG


SCALE = np.random.default_rng(1).normal(size=(2, 3, 4, 5))


def wrong_place(dy, x):
    """The gradient of max over the last axis, handed to the neighbour of the largest."""
    dx = np.zeros_like(x)
    np.put_along_axis(dx, (x.argmax(-1)[..., None] + 1) % x.shape[-1], dy[..., None], -1)
    return dx


def right_place(dy, x):
    dx = np.zeros_like(x)
    np.put_along_axis(dx, x.argmax(-1)[..., None], dy[..., None], -1)
    return dx


# forward(x), its backward(dy, x), and a wrong one
MISTAKES = {
    "dy flipped": (lambda x: SCALE * x, lambda dy, x: SCALE * dy, lambda dy, x: SCALE * dy[..., ::-1, ::-1]),
    "dy ignored": (lambda x: SCALE * x, lambda dy, x: SCALE * dy, lambda dy, x: SCALE * np.ones_like(dy)),
    "zero": (lambda x: SCALE * x, lambda dy, x: SCALE * dy, lambda dy, x: np.zeros_like(x)),
    "sign": (lambda x: SCALE * x, lambda dy, x: SCALE * dy, lambda dy, x: -SCALE * dy),
    "weight transposed": (
        lambda x: np.einsum("nchw,hw->nchw", x[..., :4], SCALE[0, 0, :, :4]),
        lambda dy, x: np.pad(np.einsum("nchw,hw->nchw", dy, SCALE[0, 0, :, :4]), [(0, 0)] * 3 + [(0, 1)]),
        lambda dy, x: np.pad(np.einsum("nchw,wh->nchw", dy, SCALE[0, 0, :, :4]), [(0, 0)] * 3 + [(0, 1)]),
    ),
    "factor missing": (lambda x: x**2, lambda dy, x: 2 * x * dy, lambda dy, x: x * dy),
    "mean taken for sum": (
        lambda x: x.mean(axis=(2, 3)),
        lambda dy, x: np.broadcast_to(dy[..., None, None] / 20, x.shape),
        lambda dy, x: np.broadcast_to(dy[..., None, None], x.shape),
    ),
    "not the argmax": (lambda x: x.max(axis=-1), right_place, wrong_place),
}


class TestMistakes:
    @pytest.fixture(params=MISTAKES)
    def mistake(self, request, rng):
        return *MISTAKES[request.param], spaced(rng, SCALE.shape)

    def test_right_and_wrong_are_told_apart(self, mistake, rng):
        forward, right, wrong, x = mistake
        assert vjp_check(forward, lambda dy: right(dy, x), [x], rng) < RIGHT
        assert vjp_check(forward, lambda dy: wrong(dy, x), [x], rng) > WRONG

    def test_a_single_direction_is_enough(self, mistake, rng):
        forward, _, wrong, x = mistake
        assert vjp_check(forward, lambda dy: wrong(dy, x), [x], rng, directions=1) > WRONG

    @pytest.mark.parametrize("name", ["dy flipped", "dy ignored"])
    def test_all_ones_pass_what_random_numbers_kill(self, rng, name):
        forward, _, wrong = MISTAKES[name]
        x, v = rng.normal(size=SCALE.shape), rng.normal(size=SCALE.shape)
        numeric = (forward(x + 1e-5 * v) - forward(x - 1e-5 * v)).sum() / 2e-5  # dy = 1 everywhere
        assert (wrong(np.ones(SCALE.shape), x) * v).sum() == pytest.approx(numeric, rel=1e-7)
        assert vjp_check(forward, lambda dy: wrong(dy, x), [x], rng) > WRONG


class TestProtocol:
    def test_backward_is_called_once_and_right_after_the_first_forward(self, rng):
        x, calls = rng.normal(size=(2, 3)), []

        def forward(x):
            calls.append("forward")
            return x.copy()

        def backward(dy):
            calls.append("backward")
            return dy

        vjp_check(forward, backward, [x], rng, directions=2)
        assert calls == ["forward", "backward"] + 2 * ["forward", "forward"]

    def test_a_buffer_that_is_used_again_does_no_harm(self, rng):
        buffer = np.empty((2, 3))

        def forward(x):
            buffer[...] = 0
            return 2 * x

        def backward(dy):
            buffer[...] = 2 * dy
            return buffer

        assert vjp_check(forward, backward, [rng.normal(size=(2, 3))], rng) < RIGHT

    def test_the_seed_decides(self, product):
        first, again, other = (vjp_check(*product, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert first == again != other

    def test_inputs_are_left_as_they_were(self, product, rng):
        before = [x.copy() for x in product[2]]
        vjp_check(*product, rng)
        assert all(np.array_equal(a, b) for a, b in zip(before, product[2]))


class TestRefusals:
    X = np.linspace(0.5, 1.0, 6).reshape(2, 3)

    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8])
    def test_inputs_are_float64(self, rng, dtype):
        with refuses("input 1 is", np.dtype(dtype).name, "float64"):
            vjp_check(np.add, lambda dy: (dy, dy), [self.X, self.X.astype(dtype)], rng)

    def test_an_input_is_an_array(self, rng):
        with pytest.raises(TypeError, match="NumPy or CuPy array; got list"):
            vjp_check(np.add, lambda dy: (dy, dy), [self.X, [1.0]], rng)

    def test_the_output_keeps_the_dtype(self, rng):
        with refuses("forward turned float64 into float32"):
            vjp_check(lambda x: x.astype(np.float32), lambda dy: dy, [self.X], rng)

    def test_the_output_is_one_array(self, rng):
        with refuses("forward returned a tuple"):
            vjp_check(lambda x: (x, 0), lambda dy: dy, [self.X], rng)

    def test_the_gradient_keeps_the_dtype(self, rng):
        with refuses("gradient 0 is float32"):
            vjp_check(np.exp, lambda dy: dy.astype(np.float32), [self.X], rng)

    def test_shapes_of_gradient_and_input(self, rng):
        with refuses("gradient 0 has shape (3, 2)", "(2, 3)"):
            vjp_check(np.exp, lambda dy: dy.T, [self.X], rng)

    def test_a_gradient_that_would_broadcast(self, rng):
        with refuses("gradient 0 has shape (1, 3)", "(2, 3)"):
            vjp_check(np.exp, lambda dy: dy[:1], [self.X], rng)

    def test_the_number_of_gradients(self, product, rng):
        forward, backward, inputs = product
        with refuses("1 gradients for 2 inputs"):
            vjp_check(forward, lambda dy: backward(dy)[0], inputs, rng)

    def test_no_gradient_at_all(self, rng):
        with refuses("nothing to check"):
            vjp_check(np.exp, lambda dy: None, [self.X], rng)

    def test_a_forward_that_changes_its_input(self, rng):
        with refuses("forward changed its input"):
            vjp_check(lambda x: np.exp(x, out=x), lambda dy: dy, [self.X.copy()], rng)

    def test_a_backward_that_changes_dy(self, rng):
        with refuses("backward changed its dy"):
            vjp_check(lambda x: 2 * x, lambda dy: np.multiply(dy, 2, out=dy), [self.X], rng)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_not_finite_is_infinitely_wrong(self, rng, value):
        broken = np.where(np.arange(3) == 1, value, 1.0)
        assert vjp_check(lambda x: x * broken, lambda dy: dy * np.ones(3), [self.X], rng) == np.inf
        assert vjp_check(np.copy, lambda dy: dy * broken, [self.X], rng) == np.inf

    @pytest.mark.filterwarnings("ignore:overflow")
    def test_so_is_what_overflows(self, rng):
        assert vjp_check(lambda x: 1e308 * x, lambda dy: 1e308 * dy, [self.X], rng) == np.inf


class TestJacobian:
    def test_of_a_product(self, product):
        forward, backward, (x, w) = product
        by_x, by_w = np.kron(np.eye(4), w.T), np.kron(x, np.eye(5))
        for which, expected in enumerate((by_x, by_w)):
            close(numerical_jacobian(forward, [x, w], which), expected, 1e-8)
            close(vjp_jacobian(backward, (4, 5), which), expected, 1e-12)

    def test_of_a_convolution(self, rng):
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(4, 3, 3, 2))
        y_shape = ops.conv2d(x, weight, stride=(1, 2)).shape
        for which in (0, 1):
            close(
                vjp_jacobian(lambda dy: ops.conv2d_backward(dy, x, weight, stride=(1, 2)), y_shape, which),
                numerical_jacobian(lambda x, w: ops.conv2d(x, w, stride=(1, 2)), [x, weight], which),
                1e-8,
            )

    def test_of_a_scalar_by_one_input_in_any_layout(self, layout, rng):
        x = layout(rng.normal(size=(2, 3, 4)))
        close(numerical_jacobian(lambda x: (x**2).sum(), x), 2 * x.reshape(1, -1), 1e-8)

    def test_needs_float64(self):
        with refuses("input 0 is float32"):
            numerical_jacobian(np.exp, np.zeros(3, np.float32))


class TestInputs:
    @pytest.mark.parametrize("shape", [(1,), (2,), (2, 3, 4, 5), (5, 7)])
    def test_spaced(self, rng, shape):
        x = spaced(rng, shape, gap=0.25)
        assert x.shape == shape
        assert np.all(np.diff(np.sort(x, axis=None)) > 0.2499)
        assert np.abs(x).min() > 0.06
        assert x.size < 3 or not np.array_equal(x.ravel(), np.sort(x, axis=None))

    def test_away_from_zero(self, rng):
        x = away_from_zero(rng, (20, 30), gap=0.3)
        assert np.abs(x).min() >= 0.3
        assert 0.4 < (x > 0).mean() < 0.6


class Scale(layers.Layer):
    """y = x * weight, one weight per channel: a layer to break."""

    def __init__(self, channels=3):
        super().__init__()
        self.add_param("weight", np.linspace(1, 2, channels))

    def _forward(self, x):
        return x * self.params["weight"][:, None, None], x

    def _backward(self, dy, x):
        self.accumulate("weight", (dy * x).sum(axis=(0, 2, 3)))
        return dy * self.params["weight"][:, None, None]


class TestLayer:
    X = np.random.default_rng(2).normal(size=(2, 3, 4, 5))

    def test_right(self, rng):
        errors = layer_check(Scale(), self.X, rng)
        assert list(errors) == ["dx", "weight"]
        assert max(errors.values()) < RIGHT

    def test_parameters_are_left_as_they_were(self, rng):
        layer = Scale()
        layer_check(layer, self.X, rng)
        assert np.array_equal(layer.params["weight"], np.linspace(1, 2, 3))

    def test_an_error_is_named(self, rng):
        class Wrong(Scale):
            def _backward(self, dy, x):
                self.accumulate("weight", (dy * x)[-1].sum(axis=(1, 2)))
                return dy * self.params["weight"][:, None, None]

        errors = layer_check(Wrong(), self.X, rng)
        assert errors["dx"] < RIGHT
        assert errors["weight"] > WRONG

    def test_several_inputs(self, rng):
        fusion = layers.SkipFusion(3, 2, offset=1, dtype=np.float64)
        scores, skip = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 3, 5, 6))
        errors = layer_check(fusion, (scores, skip), rng)
        assert list(errors)[:2] == ["dx0", "dx1"]
        assert len(errors) == 4
        assert max(errors.values()) < RIGHT

    @pytest.mark.parametrize("kind", [layers.Dropout, layers.ChannelDropout])
    def test_dropout_even_on_the_generator_of_the_check(self, rng, kind):
        assert layer_check(kind(0.4, rng=rng), self.X, rng)["dx"] < RIGHT

    def test_directions_differ_even_on_the_generator_of_the_check(self, rng):
        seen = []

        class Recording(layers.Dropout):
            def forward(self, x):
                seen.append(x.tobytes())
                return super().forward(x)

        layer_errors(Recording(0.4, rng=rng), self.X, rng, directions=3)
        assert len(set(seen)) == 7  # x itself, and two ends of three directions

    def test_parameters_are_float64(self, rng):
        with refuses("'weight' is float32"):
            layer_check(layers.Conv2d(3, 4, 3), self.X, rng)

    def test_shapes_are_named(self, rng):
        class Wrong(Scale):
            def _backward(self, dy, x):
                self.grads["weight"] = dy.sum(axis=(0, 1, 2))
                return dy

        with refuses("the gradient of 'weight' has shape (5,)", "(3,)"):
            layer_check(Wrong(), self.X, rng)

    def test_params_and_grads_have_the_same_names(self, rng):
        layer = Scale()
        del layer.grads["weight"]
        with refuses("params has 'weight', grads has not"):
            layer_check(layer, self.X, rng)


class Overwrites(Scale):
    def _backward(self, dy, x):
        self.grads["weight"][...] = (dy * x).sum(axis=(0, 2, 3))
        return dy * self.params["weight"][:, None, None]


class Random(layers.Layer):
    def _forward(self, x):
        return x * np.random.default_rng().random(x.shape), x


class KeepsInEval(Scale):
    def forward(self, x):
        y, self._cache = self._forward(x)
        return y


class SpendsCache(layers.Layer):
    def _forward(self, x):
        return x * x, 2 * x

    def _backward(self, dy, cache):
        cache *= dy
        return cache


class Upcasts(layers.Layer):
    def _forward(self, x):
        return x * np.ones(x.shape), ()

    def _backward(self, dy, cache):
        return dy


class TestPromises:
    X = TestLayer.X

    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            (Overwrites, "must ADD to grads['weight']"),
            (Random, "another output for the same input"),
            (KeepsInEval, "after eval() forward must keep nothing"),
            (SpendsCache, "a second backward gives another dx"),
            (Upcasts, "forward turns float32 into float64"),
        ],
    )
    def test_broken(self, rng, layer, words):
        complaints = broken_promises(layer(), self.X, rng)
        assert len(complaints) == 1
        assert words in complaints[0]

    def test_layer_check_refuses_it(self, rng):
        with refuses("must ADD to grads['weight']"):
            layer_check(Overwrites(), self.X, rng)

    def test_kept(self, rng):
        assert broken_promises(Scale(), self.X, rng) == []

    def test_a_layer_without_a_base_class(self, rng):
        class Plain:
            def forward(self, x):
                self.y = np.exp(x)
                return self.y

            def backward(self, dy):
                return dy * self.y

        assert layer_check(Plain(), self.X, rng)["dx"] < RIGHT

    def test_the_layer_is_in_training_mode_afterwards(self, rng):
        layer = Scale().eval()
        layer_check(layer, self.X, rng)
        assert layer.training


class TestCases:
    def test_every_op_and_layer_has_cases(self):
        differentiable = {name.removesuffix("_backward") for name in ops.__all__ if name.endswith("_backward")}
        concrete = {
            name for name, kind in vars(layers).items() if inspect.isclass(kind) and issubclass(kind, layers.Layer)
        } - {"Layer", "Container"}
        assert concrete <= set(names())
        for op in differentiable | {"softmax_cross_entropy"}:
            assert find(op), f"neither {op} nor the layer of its name has a case"

    @pytest.mark.parametrize("name", names())
    def test_right(self, name):
        for seed in (0, 1):
            (row,) = run_cases([name], seed=seed, progress=False)
            assert row.ok, f"{row.error:.1e} with {row.configuration}: {row.problem}"
            assert row.configurations >= 2

    def test_what_else_runs_changes_nothing(self):
        alone = run_cases(["Conv2d"], progress=False)
        assert alone == run_cases(["relu", "Conv2d"], progress=False)[1:]

    def test_a_wrong_backward_fails_and_names_its_configuration(self, monkeypatch):
        right = ops.conv2d_backward

        def groups_mixed(dy, x, weight, groups=1, **options):
            dx, dweight, dbias = right(dy, x, weight, groups=groups, **options)
            return dx, dweight[::-1] if groups > 1 else dweight, dbias

        monkeypatch.setattr(ops, "conv2d_backward", groups_mixed)
        (row,) = run_cases(["conv2d"], progress=False)
        assert not row.ok
        assert "groups=2" in row.configuration

    def test_a_small_error_fails(self, monkeypatch):
        monkeypatch.setattr(ops, "relu_backward", lambda dy, y, *_: dy * (y > 0) * 1.001)
        assert [row.ok for row in run_cases(find("relu"), progress=False)] == [False, False]

    def test_a_weight_that_starts_at_zero_hides_nothing(self, monkeypatch):
        right = layers.SkipFusion._backward

        def doubled(self, dy, cache):
            dscores, dskip = right(self, dy, cache)
            return dscores, 2 * dskip

        monkeypatch.setattr(layers.SkipFusion, "_backward", doubled)
        assert not run_cases(["SkipFusion"], progress=False)[0].ok

    def test_a_broken_promise_fails(self, monkeypatch):
        monkeypatch.setattr(layers.Linear, "accumulate", lambda self, name, g: self.grads.update({name: g}))
        (row,) = run_cases(["Linear"], progress=False)
        assert row.error == np.inf
        assert "must ADD" in row.problem

    def test_names_ignore_case_and_underscores(self):
        assert find("MAXPOOL2D") == find("max_pool2d") == ["max_pool2d", "MaxPool2d"]
        assert find("pool") == []
