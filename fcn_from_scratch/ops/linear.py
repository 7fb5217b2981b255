"""The fully connected layer of a classifier. Lesson 5 turns it into a convolution."""

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import get_array_module, is_plain


def linear(x, weight, bias=None):
    """Compute every output as a weighted sum of all inputs.

    y[n, f] = bias[f] + sum over c of x[n, c] * weight[f, c]        (y = x @ weight.T + bias)

    Shapes: x (N, C); weight (F, C), as in PyTorch and Caffe; bias (F,) or None. Returns: y (N, F).
    Identity: equals ops.loops.linear_loops  (tests/ops/test_linear.py).
    Raises: ValueError when x's features differ from weight's second axis. Lesson 5.
    """
    _check(x, weight)
    checks.bias(bias, weight.shape[0])
    dtype = checks.floating_result(get_array_module(x, weight), x, weight)
    y = _product(x.astype(dtype, copy=False), weight.T)
    return y if bias is None else y + bias


def linear_backward(dy, x, weight):
    """Compute the gradients of linear: (dx, dweight, dbias) for the upstream gradient dy.

    dx = dy @ weight;   dweight = dy.T @ x;   dbias[f] = sum over n of dy[n, f]

    Shapes: dy (N, F); dx like x; dweight like weight; dbias (F,).
    Identity: vjp_check  (tests/ops/test_linear.py).
    Raises: ValueError when dy does not have linear's output shape.
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
