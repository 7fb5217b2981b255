"""Layers in the styles of other courses and books: their parameters are found, or named as not checked."""

from textwrap import dedent, indent

import numpy as np
import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.gradcheck.user_layer import check_user_layer

AFFINE = """
def forward(self, x):
    self.x = x
    return x @ {W} + {b}

def backward(self, dy):
    dW, db = FACTOR * (self.x.T @ dy), dy.sum(0)
    {keep}
    return dy @ {W}.T
"""


def affine(start, W, b, keep):
    """The text of a layer y = x @ W + b that keeps its arrays in some style."""
    text = AFFINE.format(W=W, b=b, keep=keep)
    return f"class Affine:\n    def __init__(self):\n        {start}\n{indent(text, '    ')}"


PLAIN = "self.W, self.b = np.ones((4, 3)), np.zeros(3)"
CARRIER = "class P:\n    def __init__(self, a): self.data, self.grad = a, np.zeros_like(a)\n"
INNER = """
class Sum:
    def __init__(self, b): self.b = b
    def forward(self, x): return x + self.b
    def backward(self, dy): self.db = dy.sum(0); return dy

"""
# style: (text, the names of the weight and the bias in the report)
STYLES = {
    "dW": (affine(PLAIN, "self.W", "self.b", "self.dW, self.db = dW, db"), "W b"),
    "dW from the start": (
        affine(
            f"{PLAIN}; self.dW, self.db = 0 * self.W, 0 * self.b", "self.W", "self.b", "self.dW += dW; self.db += db"
        ),
        "W b",
    ),
    "a zero from the start": (
        affine(f"{PLAIN}; self.dW = self.db = 0", "self.W", "self.b", "self.dW = self.dW + dW; self.db = self.db + db"),
        "W b",
    ),
    "None from the start": (
        affine(f"{PLAIN}; self.dW = self.db = None", "self.W", "self.b", "self.dW, self.db = dW, db"),
        "W b",
    ),
    "grad_W": (affine(PLAIN, "self.W", "self.b", "self.grad_W, self.grad_b = dW, db"), "W b"),
    "weight_grad": (
        affine(
            "self.weight, self.bias = np.ones((4, 3)), np.zeros(3)",
            "self.weight",
            "self.bias",
            "self.weight_grad, self.bias_grad = dW, db",
        ),
        "weight bias",
    ),
    "gradWeight": (
        affine(
            "self.weight, self.bias = np.ones((4, 3)), np.zeros(3)",
            "self.weight",
            "self.bias",
            "self.gradWeight, self.gradBias = dW, db",
        ),
        "weight bias",
    ),
    "_W": (
        affine("self._W, self._b = np.ones((4, 3)), np.zeros(3)", "self._W", "self._b", "self._dW, self._db = dW, db"),
        "_W _b",
    ),
    "w and W": (
        affine("self.W, self.w = np.ones((4, 3)), np.zeros(3)", "self.W", "self.w", "self.dw, self.dW = db, dW"),
        "W w",
    ),
    "two lists": (
        affine(
            "self.params = [np.ones((4, 3)), np.zeros(3)]; self.grads = [np.zeros((4, 3)), np.zeros(3)]",
            "self.params[0]",
            "self.params[1]",
            "self.grads[0][...] = dW; self.grads[1][...] = db",
        ),
        "params[0] params[1]",
    ),
    "two tuples": (
        affine(
            "self.params = np.ones((4, 3), 'f4'), np.zeros(3, 'f4')",
            "self.params[0]",
            "self.params[1]",
            "self.grads = dW, db",
        ),
        "params[0] params[1]",
    ),
    "grads made in backward": (
        affine(
            'self.params = {"W": np.ones((4, 3)), "b": np.zeros(3)}; self.grads = {}',
            'self.params["W"]',
            'self.params["b"]',
            'self.grads["W"] = dW; self.grads["b"] = db',
        ),
        "W b",
    ),
    "no grads before backward": (
        affine(
            'self.params = {"W": np.ones((4, 3)), "b": np.zeros(3)}',
            'self.params["W"]',
            'self.params["b"]',
            'self.grads = {"dW": dW, "db": db}',
        ),
        "W b",
    ),
    "other dicts": (
        affine(
            'self.parameters = {"W1": np.ones((4, 3)), "b1": np.zeros(3)}',
            'self.parameters["W1"]',
            'self.parameters["b1"]',
            'self.gradients = {"dW1": dW, "db1": db}',
        ),
        "parameters['W1'] parameters['b1']",
    ),
    "a dict of arrays for attributes": (affine(PLAIN, "self.W", "self.b", 'self.grads = {"W": dW, "b": db}'), "W b"),
    "half by the contract": (
        affine(
            'self.params, self.b = {"W": np.ones((4, 3))}, np.zeros(3); self.grads = {"W": np.zeros((4, 3))}',
            'self.params["W"]',
            "self.b",
            'self.grads["W"] += dW; self.db = db',
        ),
        "W b",
    ),
    "objects with data and grad": (
        CARRIER
        + affine(
            "self.W, self.b = P(np.ones((4, 3))), P(np.zeros(3))",
            "self.W.data",
            "self.b.data",
            "self.W.grad += dW; self.b.grad += db",
        ),
        "W.data b.data",
    ),
    "float32": (
        affine(
            "self.W, self.b = np.ones((4, 3), np.float32), np.zeros(3, np.float32)",
            "self.W",
            "self.b",
            "self.dW, self.db = dW, db",
        ),
        "W b",
    ),
    "made in forward": (
        affine("self.W, self.b = None, np.zeros(3)", "self.weight()", "self.b", "self.dW, self.db = dW, db")
        + "    def weight(self):\n"
        + "        if self.W is None: self.W = np.ones((4, 3), np.float32)\n"
        + "        return self.W\n",
        "b W",
    ),
    "arrays of the class": (
        affine("pass", "self.W", "self.b", "self.dW, self.db = dW, db").replace(
            "class Affine:\n", "class Affine:\n    W, b = np.ones((4, 3)), np.zeros(3)\n"
        ),
        "W b",
    ),
    "slots": (
        affine(PLAIN, "self.W", "self.b", "self.dW, self.db = dW, db").replace(
            "class Affine:\n", "class Affine:\n    __slots__ = ('W', 'b', 'dW', 'db', 'x')\n"
        ),
        "W b",
    ),
    "a layer inside": (
        INNER
        + affine(
            "self.W, self.add = np.ones((4, 3)), [Sum(np.zeros(3))]",
            "self.W",
            "self.add[0].b",
            "self.dW = dW; self.add[0].backward(dy)",
        ),
        "W add[0].b",
    ),
    "one array under two names": (
        affine(f"{PLAIN}; self.params = [self.W, self.b]", "self.params[0]", "self.b", "self.dW, self.db = dW, db"),
        "W b",
    ),
}


@pytest.fixture
def check(tmp_path):
    """A function that checks the class Affine, or another, of a text."""

    def run(text, name="Affine", shape=(5, 4)):
        (tmp_path / "own.py").write_text("import numpy as np\nFACTOR = 1\n" + dedent(text), encoding="utf-8")
        return check_user_layer(f"{tmp_path / 'own.py'}:{name}", "", shape, 0)

    return run


@pytest.mark.parametrize("style", STYLES)
class TestStyles:
    def test_a_right_layer(self, check, style):
        text, names = STYLES[style]
        report = check(text)
        assert report.ok, report
        assert sorted(report.errors) == sorted(["dx", *names.split()])
        assert report.unchecked == []

    def test_a_wrong_gradient_of_the_weight(self, check, style):
        text, names = STYLES[style]
        report = check(text.replace("FACTOR", "7"))
        assert list(report.hints) == [names.replace("b W", "W b").split()[0]]
        assert "off by a factor of 7" in report.hints[names.replace("b W", "W b").split()[0]]

    def test_a_wrong_gradient_of_the_bias(self, check, style):
        text, names = STYLES[style]
        report = check(text.replace("dy.sum(0)", "-dy.sum(0)"))
        assert list(report.hints) == [names.replace("b W", "W b").split()[1]]
        assert "wrong sign" in next(iter(report.hints.values()))

    def test_a_wrong_dx(self, check, style):
        report = check(STYLES[style][0].replace("return dy @", "return 2 * dy @"))
        assert list(report.hints) == ["dx"]


class TestWhatIsNotChecked:
    def test_arrays_without_a_gradient_are_named(self, check):
        report = check(affine(f"{PLAIN}; self.velocity = np.zeros(3)", "self.W", "self.b", "self.kept = dW"))
        assert report.ok
        assert list(report.errors) == ["dx"]
        assert report.unchecked == ["W", "b"]  # and not velocity, on which nothing depends

    def test_one_of_two(self, check):
        report = check(affine(PLAIN, "self.W", "self.b", "self.dW = dW"))
        assert (list(report.errors), report.unchecked) == (["dx", "W"], ["b"])

    def test_by_the_contract_too(self, check):
        start = 'self.params = {"W": np.ones((4, 3))}; self.grads = {"W": np.zeros((4, 3))}; self.b = np.zeros(3)'
        report = check(affine(start, 'self.params["W"]', "self.b", 'self.grads["W"] += dW'))
        assert report.ok, report
        assert (list(report.errors), report.unchecked) == (["dx", "W"], ["b"])

    def test_a_params_dict_that_backward_forgets(self, check):
        start = 'self.params = {"W": np.ones((4, 3)), "b": np.zeros(3)}; self.grads = {}'
        report = check(affine(start, 'self.params["W"]', 'self.params["b"]', 'self.grads["W"] = dW'))
        assert (list(report.errors), report.unchecked) == (["dx", "W"], ["b"])

    def test_a_weight_that_forward_changes(self, check):
        text = affine(PLAIN, "self.W", "self.b", "self.dW, self.db = dW, db")
        report = check(text.replace("self.x = x", "self.x = x; self.W = self.W / (1 + abs(self.W).max())"))
        assert "W" in report.unchecked

    def test_a_layer_without_arrays(self, check):
        report = check("class T:\n  def forward(self, x): return 2 * x\n  def backward(self, dy): return 2 * dy", "T")
        assert (report.ok, list(report.errors), report.unchecked) == (True, ["dx"], [])

    def test_what_forward_keeps_is_no_parameter(self, check):
        """nnfs keeps `inputs` and `dinputs`; a buffer may even be there from the start."""
        start = f"{PLAIN}; self.inputs = np.zeros((5, 4)); self.mask = np.ones((5, 3))"
        text = affine(start, "self.W", "self.b", "self.dW, self.db = dW, db")
        text = text.replace("self.x = x", "self.x = x; self.inputs[...] = x; self.mask = 1.0 * (x[:, :3] > 0)")
        text = text.replace(
            "return dy @ self.W.T", "self.dinputs = dy @ self.W.T; self.dmask = dy; return self.dinputs"
        )
        report = check(text)
        assert report.ok, report
        assert list(report.errors) == ["dx", "W", "b"]

    def test_a_constant_that_is_read_only(self, check):
        start = f"{PLAIN}; self.k = np.broadcast_to(2.0, (5, 3))"
        text = affine(start, "self.W", "self.b", "self.dW, self.db = dW, db").replace("+ self.b", "+ self.b + self.k")
        report = check(text)
        assert report.ok, report
        assert report.unchecked == ["k"]

    def test_a_loss_that_is_a_number(self, check):
        report = check(
            """
            class Loss:
                def __init__(self): self.scale = np.full((5, 4), 3.0)
                def forward(self, x): self.x = x; return float((self.scale * x**2).sum())
                def backward(self, dy): self.dscale = dy * self.x**2; return dy * 2 * self.scale * self.x
            """,
            "Loss",
        )
        assert report.ok, report
        assert list(report.errors) == ["dx", "scale"]


class TestFaults:
    def test_forward_that_returns_two_arrays(self, check):
        text = affine(PLAIN, "self.W", "self.b", "self.dW = dW").replace("return x @ self.W", "return x, x @ self.W")
        assert "forward returned a tuple; return the one array that dy belongs to" in check(text).complaints[0]

    def test_a_layer_that_trains_itself(self, check):
        report = check(affine(PLAIN, "self.W", "self.b", "self.dW, self.db = dW, db; self.W -= 0.1 * dW"))
        assert not report.ok
        assert "backward changed W: take the step of training elsewhere" in report.complaints

    def test_a_gradient_that_grows(self, check):
        start = f"{PLAIN}; self.dW = np.zeros((4, 3))"
        report = check(affine(start, "self.W", "self.b", "self.dW = 2 * self.dW + dW; self.db = db"))
        assert report.complaints == ["a second backward neither repeats the gradient of 'W' nor doubles it"]

    def test_a_gradient_of_another_shape(self, check):
        report = check(affine(PLAIN, "self.W", "self.b", "self.dW, self.db = dW.T, db"))
        assert "the gradient of 'W' has shape (3, 4); 'W' has (4, 3)" in report.complaints[0]

    def test_gradients_that_are_returned(self, check):
        text = affine(PLAIN, "self.W", "self.b", "return dy @ self.W.T, dW, db")
        report = check(text)
        assert "backward returned 3 arrays for 1 input: it returns dx alone" in report.complaints[0]

    def test_an_integer_weight(self, check):
        with pytest.raises(InputError, match="parameter 'W' is int64; a gradient check needs float64"):
            check(
                affine("self.W, self.b = np.ones((4, 3), 'i8'), 0.0", "self.W", "self.b", "self.dW = dW; self.db = db")
            )

    def test_forward_that_changes_its_input_is_still_named(self, check):
        text = affine(PLAIN, "self.W", "self.b", "self.dW = dW").replace("self.x = x", "x[x < 0] = 0; self.x = x")
        assert "forward changed its input" in check(text).complaints[0]


class Slope:
    """A parameter that is a float, and two inputs."""

    def __init__(self, factor=1.0):
        self.slope, self.factor = 0.25, factor

    def forward(self, x, y):
        self.x, self.y = x, y
        return self.slope * x * y

    def backward(self, dy):
        self.dslope = self.factor * float((dy * self.x * self.y).sum())
        return dy * self.slope * self.y, dy * self.slope * self.x


def test_layer_check_looks_at_attributes_too(rng):
    xs = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    errors = layer_check(Slope(), xs, rng)
    assert list(errors) == ["dx0", "dx1", "slope"]
    assert max(errors.values()) < 1e-7
    assert layer_check(Slope(2.0), xs, rng)["slope"] > 1e-3


@pytest.mark.parametrize("params", [{}, None, []])
def test_layer_check_looks_behind_empty_params(rng, params):
    layer = Slope(2.0)
    layer.params = layer.grads = params
    errors = layer_check(layer, (rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), rng)
    assert list(errors) == ["dx0", "dx1", "slope"]
    assert errors["slope"] > 1e-3


def test_the_layer_is_left_as_it_was(rng):
    layer = Slope()
    layer_check(layer, (rng.normal(size=(2, 3)), np.ones((2, 3))), rng)
    assert layer.slope == 0.25
