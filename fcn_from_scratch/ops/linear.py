"""The fully connected layer of a classifier: what lesson 5 turns into a convolution."""

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import get_array_module, is_plain


def linear(x, weight, bias=None):
    """Every output is a weighted sum of all inputs: y = x @ weight.T + bias.

    Shapes: x (N, C); weight (F, C), as PyTorch's and Caffe's; bias (F,) or None. Returns: y (N, F).
    Raises: ValueError when x's features differ from weight's second axis.
    """
    _check(x, weight)
    checks.bias(bias, weight.shape[0])
    dtype = checks.floating_result(get_array_module(x, weight), x, weight)
    y = _product(x.astype(dtype, copy=False), weight.T)
    return y if bias is None else y + bias


def linear_backward(dy, x, weight):
    """(dx, dweight, dbias) = (dy @ weight, dy.T @ x, column sums of dy).

    Identity: vjp_check  (tests/ops/test_linear.py).
    """
    _check(x, weight)
    checks.same_shape(dy, (x.shape[0], weight.shape[0]), "dy", "linear's output has")
    return _product(dy, weight), _product(dy.T, x), dy.sum(axis=0)


def _product(a, b):
    return a @ b if is_plain() else engine.matrix_product(a, b)


def _check(x, weight):
    checks.ndim(x, 2, "x", "(N, features)")
    checks.ndim(weight, 2, "weight", "(out_features, in_features)")
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"linear expects {weight.shape[1]} input features (weight is {tuple(weight.shape)}); got x with shape "
            f"{tuple(x.shape)}"
        )
