"""The table of `fcn gradcheck`: every op and layer has cases, and all are right."""

import inspect

import numpy as np
import pytest

from fcn_from_scratch import layers, ops
from fcn_from_scratch.gradcheck.cases import find, names, run_cases


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
