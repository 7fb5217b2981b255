"""The gradient check of the user's layer, from the user's own file: `fcn gradcheck my_layer.py:MyLayer`.

A layer that cannot be made (no such file, no such class, wrong arguments) is an InputError of one sentence. Everything
that the check finds goes into a Report.
"""

import ast
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import require_regular
from fcn_from_scratch.gradcheck.attributes import find_gradients, kept_by_forward, to_float64, unchecked
from fcn_from_scratch.gradcheck.hints import explain
from fcn_from_scratch.gradcheck.layers import AsFunction, broken_promises, layer_errors
from fcn_from_scratch.gradcheck.parameters import contract
from fcn_from_scratch.gradcheck.vjp import LIMIT, spaced

EXAMPLE = "as in '3, 4, kernel_size=3'"


class Report(NamedTuple):
    """What the check found.

    errors      gradient -> its relative error
    hints       wrong gradient -> how it differs from the right one
    complaints  sentences about everything else that is wrong
    elsewhere   the parameters that were found outside of the layer contract: name -> where its gradient stands
    unchecked   names of arrays without a gradient, on which the output depends
    """

    errors: dict
    hints: dict
    complaints: list
    elsewhere: dict
    unchecked: list

    @property
    def ok(self):
        return not self.hints and not self.complaints


def check_user_layer(word, arguments, shape, seed):
    """Check the user's layer on an input x that keeps away from the kinks of ReLU and max-pooling.

    word       where the layer is: "path/to/file.py:Class"
    arguments  the constructor's arguments, as text
    shape      the shape of x
    Returns: a Report.
    Raises: InputError when there is no such layer, or its forward does not take such an x.
    """
    path, name = (word, "") if word.endswith(".py") or ":" not in word else word.rsplit(":", 1)
    rng = np.random.default_rng(seed)
    x = spaced(rng, shape, gap=min(0.01, 4 / np.prod(shape)))
    layer = _make(_layer_class(Path(path), name), arguments, rng, path)
    try:
        declared = _declared(layer)
    except (ValueError, TypeError) as error:
        raise InputError(f"{word}: {error}") from None
    try:
        kept = kept_by_forward(layer, x, convert=True)
    except Exception as error:
        raise InputError(
            f"{word}: forward fails for x of shape {shape}: {_line(error, path)}. Does --shape fit the layer?"
        ) from None
    try:
        found = find_gradients(layer, kept, x)
    except Exception as error:
        return Report({}, {}, [_line(error, path)], {}, [])
    return _report(layer, x, rng, path, _all_parameters(layer, declared, found), found)


def _declared(layer):
    """The names of the parameters that the layer declares by the contract.

    Raises: ValueError or TypeError when `params` and `grads` are dicts, but do not fit each other.
    """
    params, grads = getattr(layer, "params", None), getattr(layer, "grads", {})
    if not isinstance(params, dict):
        return []
    for array in params.values():
        get_array_module(array)
    return [one.name for one in contract(layer)] if grads else []  # without any, backward has to make them


def _all_parameters(layer, declared, found):
    """The declared parameters, and those that were found elsewhere."""
    parameters = contract(layer) if declared else []
    known = {id(one.place.get()) for one in parameters}
    return parameters + [one for one in found.parameters if id(one.place.get()) not in known]


def _report(layer, x, rng, path, parameters, found):
    """Check the gradients of x and of the parameters."""
    try:
        function = AsFunction(layer, x, parameters)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    try:
        for one, value in zip(parameters, function.inputs[1:]):
            value += 0.1 * rng.normal(size=value.shape)  # a parameter that starts at zero would hide mistakes
            one.assign(value)
        known = {id(one.place.get()) for one in parameters}
        beside = [(name, place) for name, place in found.beside if id(place.get()) not in known]
        elsewhere = {one.name: one.gradient_name for one in parameters if not one.adds}
        errors = layer_errors(layer, x, rng, parameters=parameters)
        wrong = [name for name, error in errors.items() if not error < LIMIT]
        parts = function.forward, function.backward, function.inputs
        hints = {name: explain(*parts, function.names.index(name), rng) for name in wrong}
        complaints = broken_promises(layer, x, rng, parameters, float32=not beside)
        left = unchecked(beside, function)
        stepped = [name for name in found.moved if name in (*function.names, *left)]
        complaints += [f"backward changed {name}: take the step of training elsewhere" for name in stepped]
        return Report(errors, hints, complaints, elsewhere, left)
    except Exception as error:
        return Report({}, {}, [_line(error, path)], {}, [])


def parse_arguments(text):
    """Parse the arguments of a call, such as "3, 4, kernel_size=3". Returns: (args, kwargs).

    Only literals are allowed, so no code runs.
    """
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise ValueError
        args = [ast.literal_eval(node) for node in call.args]
        kwargs = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        if None in kwargs:
            raise ValueError
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise InputError(f"--args takes numbers, tuples and name=value, {EXAMPLE}; got {text!r}") from None
    return args, kwargs


def _make(cls, arguments, rng, path):
    """Make the user's layer. A constructor that takes `dtype` or `rng` gets float64 or a seeded generator."""
    args, kwargs = parse_arguments(arguments)
    try:
        accepted = inspect.signature(cls).parameters
        for key, value in {"dtype": np.float64, "rng": rng}.items():
            if key in accepted:
                kwargs.setdefault(key, value)
        layer = cls(*args, **kwargs)
    except Exception as error:
        raise InputError(
            f"{cls.__name__}({arguments}) cannot be made: {_line(error, path)}. "
            f"Pass the arguments of its constructor with --args, {EXAMPLE}"
        ) from None
    to_float64(layer)
    return layer


def _layer_class(path, name):
    module = _module(path)
    here = [key for key, value in vars(module).items() if _defined_in(module, value)]
    listed = f"it defines {', '.join(here) or 'no class'}"
    if not name and len(here) != 1:
        raise InputError(f"say which class of {path} to check, as {path}:CLASS; {listed}")
    name = name or here[0]
    cls = getattr(module, name, None)
    if not inspect.isclass(cls):
        raise InputError(f"{path} has no class {name!r}; {listed}")
    missing = [method for method in ("forward", "backward") if not callable(getattr(cls, method, None))]
    if missing:
        raise InputError(
            f"{path}:{name} is not a layer: it has no {' and no '.join(missing)}. A layer is a class with "
            "forward(x) -> y and backward(dy) -> dx that keeps its parameters in the dict params and their "
            "gradients in the dict grads"
        )
    return cls


def _module(path):
    """Import the user's file as a module. As in a script, it can import the files beside it."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    require_regular(path)
    spec = importlib.util.spec_from_file_location(f"user_layer_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module here
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{path} cannot be imported: {_line(error, path)}") from None
    finally:
        sys.path.pop(0)
    return module


def _defined_in(module, value):
    return inspect.isclass(value) and value.__module__ == module.__name__


def _line(error, path):
    """The error in one line, with the line number in the user's file when the traceback passes through it."""
    text = str(error)
    if not (isinstance(error, ValueError) and text):  # a ValueError's sentence is clear without its type
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == Path(path).resolve()]
    return f"{text} ({Path(path).name}, line {lines[-1]})" if lines else text
