"""The gradient check itself: right backwards pass, wrong ones fail, and nothing is passed without a check."""

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import (
    away_from_zero,
    numerical_jacobian,
    spaced,
    vjp_check,
    vjp_errors,
    vjp_jacobian,
)

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
