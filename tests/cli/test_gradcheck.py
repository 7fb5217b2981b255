"""`fcn gradcheck`: the table, a user's own layer, and the messages about a broken one."""

import sys
from textwrap import dedent

import pytest
import standin

from fcn_from_scratch import ops
from fcn_from_scratch.cli import main
from fcn_from_scratch.gradcheck.user_layer import parse_arguments

GOOD = """
    import numpy as np

    class Scale:
        def __init__(self, channels, factor=2.0):
            self.params = {"weight": np.full(channels, factor)}
            self.grads = {"weight": np.zeros(channels)}

        def forward(self, x):
            self.x = x
            return x * self.params["weight"][:, None, None]

        def backward(self, dy):
            self.grads["weight"] += (dy * self.x).sum(axis=(0, 2, 3))
            return dy * self.params["weight"][:, None, None]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a file to the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda text, name="my_layer.py": (tmp_path / name).write_text(dedent(text))


@pytest.fixture
def fcn(capsys):
    """A function that runs `fcn gradcheck ...`; returns the exit status, the output and the message."""

    def run(*words):
        status = main(["gradcheck", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


class TestTable:
    def test_everything_is_right(self, fcn):
        status, out, _ = fcn()
        assert status == 0
        assert "FAIL" not in out
        assert {"conv2d", "Conv2d", "softmax_cross_entropy", "SkipFusion"} <= set(out.split())
        assert "every relative error is below 1e-07" in out

    def test_some_by_name(self, fcn):
        status, out, _ = fcn("MAXPOOL2D", "relu", "--seed", "3")
        assert status == 0
        rows = [line.split()[0] for line in out.splitlines() if "  ok  " in line]
        assert rows == ["max_pool2d", "MaxPool2d", "relu", "ReLU"]

    def test_a_wrong_backward_fails(self, fcn, monkeypatch):
        monkeypatch.setattr(ops, "relu_backward", lambda dy, y, *_: dy[..., ::-1] * (y > 0))
        status, out, _ = fcn("relu", "crop")
        assert status == 1
        assert "2 of 4 FAIL: relu, ReLU" in out

    def test_list(self, fcn):
        status, out, _ = fcn("--list")
        assert status == 0
        assert {"conv2d", "Dropout"} <= set(out.splitlines())

    def test_on_the_device(self, fcn, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", standin)
        status, out, _ = fcn("--device", "cuda")
        assert status == 0, out

    def test_without_a_device(self, fcn, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        status, _, err = fcn("--device", "cuda")
        assert status == 2
        assert "needs CuPy" in err

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["convolution"], "no op or layer is called 'convolution'; there are conv2d, conv_transpose2d"),
            (["--seed", "-1"], "--seed must be at least 0"),
            (["--shape", "2,x"], "--shape takes sizes with commas between them, such as 2,3,7,6; got '2,x'"),
            (["--shape", "2,0,3"], "--shape takes sizes"),
            (["--shape", "90,90,90"], "a few hundred are enough to check a layer"),
        ],
    )
    def test_what_does_not_fit(self, fcn, words, message):
        status, out, err = fcn(*words)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


class TestOwnLayer:
    def test_right(self, fcn, write):
        write(GOOD)
        status, out, _ = fcn("my_layer.py:Scale", "--args", "3")
        assert status == 0
        assert "every gradient is right" in out
        assert [line.split()[0] for line in out.splitlines()[1:3]] == ["dx", "weight"]

    def test_the_only_class_needs_no_name(self, fcn, write):
        write(GOOD)
        assert fcn("my_layer.py", "--args", "channels=4, factor=-1.5", "--shape", "2,4,3,5")[0] == 0

    def test_beside_a_name(self, fcn, write):
        write(GOOD)
        status, out, _ = fcn("my_layer.py:Scale", "Crop", "--args", "3")
        assert status == 0
        assert "my_layer.py:Scale, x of shape (2, 3, 7, 6)" in out
        assert "all 2 right" in out

    def test_built_on_the_package(self, fcn, write):
        write(
            """
            import numpy as np
            from helper import HALF
            from fcn_from_scratch.layers import Conv2d, Dropout, Sequential

            class Block(Sequential):
                def __init__(self, channels, *, rng=None, dtype=np.float32):
                    super().__init__(Conv2d(channels, 4, 3, rng=rng, dtype=dtype), Dropout(HALF, rng=rng))
            """
        )
        write("HALF = 0.5", "helper.py")
        status, out, _ = fcn("my_layer.py:Block", "--args", "3")
        assert status == 0, out

    def test_float32_parameters_are_checked_in_float64(self, fcn, write):
        write(GOOD.replace("np.zeros(channels)", "np.zeros(channels, np.float32)"))
        assert fcn("my_layer.py:Scale", "--args", "3")[0] == 0

    @pytest.mark.parametrize(
        ("right", "wrong", "gradient", "hint"),
        [
            ("return dy *", "return 2 * dy *", "dx", "is off by a factor of 2 in every direction"),
            ("return dy *", "return -dy *", "dx", "has the wrong sign"),
            ("return dy *", "return 0 * dy *", "dx", "is zero everywhere"),
            ("return dy *", "return np.nan * dy *", "dx", "is not finite"),
            ("return dy *", "return dy[..., ::-1, ::-1] *", "dx", "dy is flipped along its last two axes"),
            ("return dy *", "return dy[..., ::-1] *", "dx", "dy is flipped along its last axis"),
            ("return dy *", "return np.ones_like(dy) *", "dx", "backward ignores dy"),
            ("(dy * self.x).sum", "dy.sum", "weight", "is wrong in 3 of 3 places; at [0] it is"),
            ("(dy * self.x).sum", "0.5 * (dy * self.x).sum", "weight", "is off by a factor of 0.5"),
            ("(dy * self.x).sum", "(dy * self.x)[:1].sum", "weight", "when only image 0 counts"),
            (
                "return dy *",
                "dy = np.where(self.x == self.x[0, 1, 2, 3], 0, dy); return dy *",
                "dx",
                "[0, 1, 2, 3]",
            ),
        ],
    )
    def test_a_wrong_gradient_is_named_and_explained(self, fcn, write, right, wrong, gradient, hint):
        assert right in GOOD
        write(GOOD.replace(right, wrong))
        status, out, _ = fcn("my_layer.py:Scale", "--args", "3")
        assert status == 1
        failed = [line for line in out.splitlines() if "  FAIL  " in line]
        assert len(failed) == 1
        assert failed[0].split()[0] == gradient
        assert hint in failed[0]

    @pytest.mark.parametrize(
        ("right", "wrong", "complaint"),
        [
            ('self.grads["weight"] +=', 'self.grads["weight"] =', "must ADD to grads['weight']"),
            ("return dy *", "return dy[:, :, 1:] *", "the gradient of x has shape (2, 3, 6, 6)"),
            ("self.x = x", "self.x = x; x = x + np.random.default_rng().random()", "another output"),
            ("self.x = x", "self.x = x; x += 1", "forward changed its input"),
            ("return dy *", "dy *= 1.5; return dy *", "backward changed its dy"),
            ("return dy *", "return dy[9] *", "IndexError: index 9 is out of bounds"),
        ],
    )
    def test_other_faults_are_named(self, fcn, write, right, wrong, complaint):
        write(GOOD.replace(right, wrong))
        status, out, _ = fcn("my_layer.py:Scale", "--args", "3")
        assert status == 1
        assert complaint in out

    def test_a_fault_in_backward_gives_the_line(self, fcn, write):
        write(GOOD.replace("return dy *", "return dy[9] *"))
        assert "(my_layer.py, line 15)" in fcn("my_layer.py:Scale", "--args", "3")[1]

    def test_a_parameter_that_starts_at_zero_hides_nothing(self, fcn, write):
        write(GOOD.replace("return dy *", "return 2 * dy *"))
        assert fcn("my_layer.py:Scale", "--args", "3, factor=0.0")[0] == 1

    def test_a_parameter_that_forward_does_not_use(self, fcn, write):
        write(GOOD.replace('return x * self.params["weight"][:, None, None]', "return 2.0 * x"))
        status, out, _ = fcn("my_layer.py:Scale", "--args", "3")
        assert status == 1
        assert "forward does not depend on this array" in out


ATTRIBUTES = """
    import numpy as np

    class Scale:
        def __init__(self):
            self.W, self.b = np.full((3, 1, 1), 2.0, np.float32), np.zeros((3, 1, 1), np.float32)

        def forward(self, x):
            self.x = x
            return x * self.W + self.b

        def backward(self, dy):
            self.dW = (dy * self.x).sum(axis=(0, 2, 3), keepdims=True)[0]
            self.db = dy.sum(axis=(0, 2, 3), keepdims=True)[0]
            return dy * self.W
"""


class TestParametersInAttributes:
    """Nothing is called right that was not looked at."""

    def test_they_are_found_and_named(self, fcn, write):
        write(ATTRIBUTES)
        status, out, _ = fcn("my_layer.py")
        assert status == 0
        assert [line.split()[0] for line in out.splitlines()[1:4]] == ["dx", "W", "b"]
        assert "parameters found: W (gradient dW), b (gradient db)" in out
        assert "every gradient is right" in out

    def test_a_wrong_one_fails(self, fcn, write):
        write(ATTRIBUTES.replace("self.db = ", "self.db = -"))
        status, out, _ = fcn("my_layer.py")
        assert status == 1
        assert [line.split()[0] for line in out.splitlines() if "  FAIL  " in line] == ["b"]

    def test_one_without_a_gradient_is_named(self, fcn, write):
        write(ATTRIBUTES.replace("self.db = ", "self.other = "))
        status, out, _ = fcn("my_layer.py")
        assert status == 0
        assert "not checked: b. The output depends on it, but backward leaves no db, grad_b or b_grad" in out
        assert "every gradient above is right" in out
        assert "every gradient is right" not in out

    def test_dx_alone(self, fcn, write):
        write(ATTRIBUTES.replace("self.d", "self.other"))
        status, out, _ = fcn("my_layer.py")
        assert status == 0
        assert "not checked: W, b. The output depends on them" in out
        assert "only dx was checked, and it is right" in out
        assert "every gradient" not in out

    def test_no_parameters_at_all(self, fcn, write):
        write("class A:\n    def forward(self, x): return 2 * x\n    def backward(self, dy): return 2 * dy")
        status, out, _ = fcn("my_layer.py")
        assert status == 0
        assert "only dx was checked, and it is right" in out
        assert "no attribute looks like a parameter" in out
        assert "every gradient" not in out


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        ("text", "words", "message"),
        [
            (GOOD, ["other.py:Scale"], "other.py: no such file"),
            (GOOD, [".py"], ".py: no such file"),
            (GOOD, ["my_layer.py:Conv"], "my_layer.py has no class 'Conv'; it defines Scale"),
            (GOOD, ["my_layer.py:np"], "my_layer.py has no class 'np'; it defines Scale"),
            ("x = 1", ["my_layer.py"], "say which class of my_layer.py to check, as my_layer.py:CLASS"),
            ("class A: pass", ["my_layer.py:A"], "is not a layer: it has no forward and no backward"),
            (
                "class A:\n    def forward(self, x): return x",
                ["my_layer.py:A"],
                "it has no backward. A layer is",
            ),
            ("import nothing_like_it", ["my_layer.py:A"], "cannot be imported: ModuleNotFoundError"),
            ("\n1 / 0", ["my_layer.py:A"], "ZeroDivisionError: division by zero (my_layer.py, line 2)"),
            ("def f(:", ["my_layer.py:A"], "my_layer.py cannot be imported: SyntaxError: "),
            ("raise SystemExit(3)", ["my_layer.py:A"], "cannot be imported: SystemExit: 3"),
            (GOOD, ["my_layer.py:Scale"], "missing 1 required positional argument: 'channels'"),
            (GOOD, ["my_layer.py:Scale", "--args", "3, 4, 5"], "Scale(3, 4, 5) cannot be made: TypeError"),
            (GOOD, ["my_layer.py:Scale", "--args", "print()"], "--args takes numbers, tuples and name=value"),
            (GOOD, ["my_layer.py:Scale", "--args", "5"], "forward fails for x of shape (2, 3, 7, 6)"),
            (
                GOOD.replace('self.grads = {"weight"', 'self.grads = {"w"'),
                ["my_layer.py:Scale", "--args", "3"],
                "params has 'weight', but grads does not",
            ),
            (
                GOOD.replace("np.full(channels, factor)", "factor"),
                ["my_layer.py:Scale", "--args", "3"],
                "expected a NumPy or CuPy array; got float",
            ),
        ],
    )
    def test_is_one_sentence_and_status_2(self, fcn, write, text, words, message):
        write(text)
        status, out, err = fcn(*words)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
        assert "Traceback" not in err

    def test_arguments_are_data(self):
        assert parse_arguments("3, (4, -1), name='a', flag=True, none=None") == (
            [3, (4, -1)],
            {"name": "a", "flag": True, "none": None},
        )
        assert parse_arguments("") == ([], {})

    @pytest.mark.parametrize("text", ["x", "f(1)", "3), g(4", "3)(4", "*[1]", "**{}", "1 +", "__import__('os')", "\0"])
    def test_nothing_else_is(self, text):
        with pytest.raises(ValueError, match="--args takes"):
            parse_arguments(text)
