"""The gradient check of a layer: its input, each of its parameters, and the promises of the layer contract.

The layer need not be a subclass of `Layer`. Any object with forward(x) and backward(dy) will do. If it has `params` and
`grads`, they are checked too. If it has `eval()`, the check also tests that forward keeps nothing in evaluation mode.
"""

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.gradcheck.vjp import vjp_errors


def layer_check(layer, x, rng, directions=3, eps=1e-5):
    """Check that a layer keeps the promises of the layer contract, and measure the relative error of every gradient.

    x   a float64 array away from kinks, or a tuple of arrays for a layer whose forward takes several
    Returns: a dict with "dx" (or "dx0", "dx1", ...) and then one entry for each parameter, under its name.
    Raises: ValueError that lists the broken promises (see `broken_promises`), and the errors of `vjp_errors`.
    Source: layers/base.py states the contract. Lesson 3.
    """
    errors = layer_errors(layer, x, rng, directions, eps)
    complaints = broken_promises(layer, x, rng)
    if complaints:
        raise ValueError("; ".join(complaints))
    return errors


def layer_errors(layer, x, rng, directions=3, eps=1e-5):
    """The relative error of every gradient of a layer, as a dict by name. The layer contract is not checked."""
    function, rng = AsFunction(layer, x), _own_stream(rng)
    try:
        errors = vjp_errors(function.forward, function.backward, function.inputs, rng, directions, eps)
    finally:
        function.set_params(function.inputs[function.number :])
    return {name: error for name, error in zip(function.names, errors) if error is not None}


class AsFunction:
    """A layer as a pure function of its inputs and parameters, in the form that `vjp_check` takes.

    inputs   the layer's input arrays, then a copy of each parameter
    names    one name for each entry of `inputs`: "dx" (or "dx0", "dx1", ...), then the parameters' names
    """

    def __init__(self, layer, x):
        self.layer = layer
        self.params = params = getattr(layer, "params", {})
        if not (isinstance(params, dict) and isinstance(getattr(layer, "grads", {}), dict)):
            raise ValueError("params and grads are dicts of arrays")
        missing = [name for name in params if name not in getattr(layer, "grads", {})]
        if missing:
            raise ValueError(f"params has {missing[0]!r}, but grads does not: give both the same names")
        for name, array in params.items():
            get_array_module(array)
            if array.dtype != np.float64:
                raise ValueError(f"parameter {name!r} is {array.dtype}; a gradient check needs float64")
        xs = list(x) if isinstance(x, tuple) else [x]
        self.number = len(xs)  # how many inputs are not parameters
        self.names = ["dx"] if len(xs) == 1 else [f"dx{i}" for i in range(len(xs))]
        self.names += params
        self.inputs = xs + [array.copy() for array in params.values()]
        self.generators = [(g, g.bit_generator.state) for g in _generators(layer)]
        getattr(layer, "train", lambda: None)()

    def forward(self, *arrays):
        """Set the parameters, rewind the generators so that dropout repeats its mask, and run the layer."""
        self.set_params(arrays[self.number :])
        for generator, state in self.generators:
            generator.bit_generator.state = state
        return self.layer.forward(*arrays[: self.number])

    def set_params(self, values):
        """Copy values into the layer's parameters."""
        for live, value in zip(self.params.values(), values):
            live[...] = value

    def backward(self, dy):
        """Set `grads` to zero, run one backward, and return its gradients."""
        grads = getattr(self.layer, "grads", {})
        for gradient in grads.values():
            gradient[...] = 0
        return self.collect(self.layer.backward(dy))

    def collect(self, dx):
        """The gradients that a backward returned, then those in `grads`: one array for each entry of `inputs`."""
        dxs = list(dx) if isinstance(dx, (tuple, list)) else [dx]
        if len(dxs) != self.number:
            raise ValueError(f"backward returned {len(dxs)} arrays for {self.number} inputs")
        gradients = dxs + [self.layer.grads[name] for name in self.params]
        for name, gradient, array in zip(self.names, gradients, self.inputs):
            if gradient is not None and np.shape(gradient) != array.shape:
                whose = repr(name) if name in self.params else name.removeprefix("d")
                raise ValueError(f"the gradient of {whose} has shape {np.shape(gradient)}; {whose} has {array.shape}")
        return gradients


def _generators(layer):
    """The random generators that a layer draws from: those it lists, and its attribute `rng`."""
    listed = layer.generators().values() if hasattr(layer, "generators") else ()
    found = [*listed, getattr(layer, "rng", None)]
    return [generator for generator in found if isinstance(generator, np.random.Generator)]


def _own_stream(rng):
    """A new generator, seeded from rng. The layer may own rng itself, and every forward rewinds the layer's own."""
    return np.random.default_rng(rng.integers(2**32))


def broken_promises(layer, x, rng):
    """Check the promises of the layer contract. Returns: a list, one sentence for each broken promise.

    The same input gives the same output. A second backward gives the same dx and doubles the grads. float32 stays
    float32 (checked for layers without parameters). After eval(), forward keeps nothing for backward.
    """
    function, rng = AsFunction(layer, x), _own_stream(rng)
    y = function.forward(*function.inputs).copy()
    xp = get_array_module(y)
    if not bool(xp.array_equal(function.forward(*function.inputs), y, equal_nan=True)):
        return ["forward gives another output for the same input: draw random numbers from self.rng only"]
    dy = xp.asarray(rng.normal(size=y.shape))
    return [*_second_backward(function, dy), *_float32(function, dy), *_eval_mode(function, dy)]


def _second_backward(function, dy):
    first = [None if gradient is None else to_numpy(gradient).copy() for gradient in function.backward(dy)]
    second = function.collect(function.layer.backward(dy))
    for name, once, twice in zip(function.names, first, second):
        if once is None:
            continue
        added = name in function.params
        if np.allclose(to_numpy(twice), once * (2 if added else 1), rtol=1e-9, equal_nan=True):
            continue
        if added:
            yield f"backward must ADD to grads[{name!r}] (+=): a second backward does not double it"
        else:
            yield f"a second backward gives another {name}: backward must leave what forward kept as it is"


def _float32(function, dy):
    if function.params:
        return
    y = function.forward(*(x.astype(np.float32) for x in function.inputs))
    outputs = {"forward": [y], "backward": function.backward(dy.astype(np.float32))}
    for what, arrays in outputs.items():
        wrong = [array.dtype for array in arrays if array is not None and array.dtype != np.float32]
        if wrong:
            yield f"{what} turns float32 into {wrong[0]}: keep the dtype of the input"


def _eval_mode(function, dy):
    layer = function.layer
    if not hasattr(layer, "eval"):
        return
    layer.eval()
    function.forward(*function.inputs)
    try:
        layer.backward(dy)
    except RuntimeError:
        pass
    else:
        yield "after eval() forward must keep nothing: backward still answers instead of raising RuntimeError"
    finally:
        layer.train()
