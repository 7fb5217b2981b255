"""The gradient check of a layer: its input, each of its parameters, and the promises of the layer contract.

The layer need not be a subclass of `Layer`. Any object with forward(x) and backward(dy) will do. If it has `params` and
`grads`, they are checked too. If it has none, parameters in plain attributes are looked for (attributes.py). If it has
`eval()`, the check also tests that forward keeps nothing in evaluation mode.
"""

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.gradcheck.attributes import of_layer
from fcn_from_scratch.gradcheck.parameters import contract
from fcn_from_scratch.gradcheck.vjp import float64_output, vjp_errors


def layer_check(layer, x, rng, directions=3, eps=1e-5):
    """Check that a layer keeps the promises of the layer contract, and measure the relative error of every gradient.

    x   a float64 array away from kinks, or a tuple of arrays for a layer whose forward takes several
    Returns: a dict with "dx" (or "dx0", "dx1", ...) and then one entry for each parameter, under its name. What is not
    in the dict was not checked.
    Raises: ValueError that lists the broken promises (see `broken_promises`), and for what is no layer; and the errors
    of `vjp_errors`.
    Source: layers/base.py states the contract. Lesson 3.
    """
    _require_layer(layer)
    parameters = of_layer(layer, x)
    errors = layer_errors(layer, x, rng, directions, eps, parameters=parameters)
    complaints = broken_promises(layer, x, rng, parameters)
    if complaints:
        raise ValueError("; ".join(complaints))
    return errors


def _require_layer(layer):
    is_class, is_list = isinstance(layer, type), isinstance(layer, (list, tuple))
    if is_class or not all(callable(getattr(layer, name, None)) for name in ("forward", "backward")):
        what = f"the class {layer.__name__}" if is_class else f"a {type(layer).__name__}"
        remedy = "; pass Sequential(*layers)" if is_list else "; pass a layer of it" if is_class else ""
        raise ValueError(f"a layer has forward(x) and backward(dy); got {what}{remedy}")


def layer_errors(layer, x, rng, directions=3, eps=1e-5, parameters=None):
    """The relative error of every gradient of a layer, as a dict by name. The layer contract is not checked."""
    function, rng = AsFunction(layer, x, parameters), _own_stream(rng)
    try:
        errors = vjp_errors(function.forward, function.backward, function.inputs, rng, directions, eps)
    finally:
        function.set_params(function.inputs[function.number :])
    return {name: error for name, error in zip(function.names, errors) if error is not None}


class AsFunction:
    """A layer as a pure function of its inputs and parameters, in the form that `vjp_check` takes.

    parameters  a list of parameters.Parameter; by default those of the layer contract
    inputs      the layer's input arrays, then a copy of each parameter
    names       one name for each entry of `inputs`: "dx" (or "dx0", "dx1", ...), then the parameters' names
    """

    def __init__(self, layer, x, parameters=None):
        self.layer = layer
        self.parameters = contract(layer) if parameters is None else parameters
        values = [one.value() for one in self.parameters]
        for one, array in zip(self.parameters, values):
            if array.dtype != np.float64:
                raise ValueError(f"parameter {one.name!r} is {array.dtype}; a gradient check needs float64")
        xs = list(x) if isinstance(x, tuple) else [x]
        self.number = len(xs)  # how many inputs are not parameters
        self.names = ["dx"] if len(xs) == 1 else [f"dx{i}" for i in range(len(xs))]
        self.names += [one.name for one in self.parameters]
        self.inputs = xs + values
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
        for one, value in zip(self.parameters, values):
            one.assign(value)

    def backward(self, dy):
        """Set the parameters' gradients to zero, run one backward, and return its gradients."""
        for one in self.parameters:
            one.reset()
        return self.collect(self.layer.backward(dy))

    def collect(self, dx):
        """The gradients that a backward returned, then those of the parameters: one for each entry of `inputs`."""
        dxs = list(dx) if isinstance(dx, (tuple, list)) else [dx]
        if len(dxs) != self.number:
            raise ValueError(
                f"backward returned {len(dxs)} arrays for {self.number} input{'s' * (self.number > 1)}: it returns dx "
                "alone, and leaves the gradients of parameters in `grads` or beside them, as dW beside W"
            )
        gradients = dxs + [one.found() for one in self.parameters]
        for number, (name, gradient, array) in enumerate(zip(self.names, gradients, self.inputs)):
            if gradient is not None and np.shape(gradient) != array.shape:
                whose = repr(name) if number >= self.number else name.removeprefix("d")
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


def broken_promises(layer, x, rng, parameters=None, float32=True):
    """Check the promises of the layer contract. Returns: a list, one sentence for each broken promise.

    The same input gives the same output. A second backward gives the same dx and doubles the grads. float32 stays
    float32 (checked for layers without parameters). After eval(), forward keeps nothing for backward.
    Parameters in plain attributes need not keep the second: backward may also replace their gradients.
    float32   False leaves the third promise out: the layer has arrays of float64 that are no parameters
    """
    function, rng = AsFunction(layer, x, parameters), _own_stream(rng)
    y = float64_output(function.forward(*function.inputs)).copy()
    xp = get_array_module(y)
    if not bool(xp.array_equal(function.forward(*function.inputs), y, equal_nan=True)):
        return ["forward gives another output for the same input: draw random numbers from self.rng only"]
    dy = xp.asarray(rng.normal(size=y.shape))
    kept = _float32(function, dy) if float32 and not function.parameters else ()
    return [*_second_backward(function, dy), *kept, *_eval_mode(function, dy)]


def _second_backward(function, dy):
    first = [None if gradient is None else to_numpy(gradient).copy() for gradient in function.backward(dy)]
    second = function.collect(function.layer.backward(dy))
    owners = [None] * function.number + function.parameters
    for name, owner, once, twice in zip(function.names, owners, first, second):
        if once is None:
            continue
        allowed = [1] if owner is None else [2] if owner.adds else [1, 2]
        if any(np.allclose(to_numpy(twice), once * times, rtol=1e-9, equal_nan=True) for times in allowed):
            continue
        if owner is None:
            yield f"a second backward gives another {name}: backward must leave what forward kept as it is"
        elif owner.adds:
            yield f"backward must ADD to grads[{name!r}] (+=): a second backward does not double it"
        else:
            yield f"a second backward neither repeats the gradient of {name!r} nor doubles it"


def _float32(function, dy):
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
