"""The gradient check of a layer from the reader's own file: `fcn gradcheck my_layer.py:MyLayer`.

What does not fit (no such file, no such class, arguments it does not take) is an InputError of one sentence.
What the check finds goes into a Report.
"""

import ast
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.gradcheck.hints import explain
from fcn_from_scratch.gradcheck.layers import AsFunction, broken_promises, layer_errors
from fcn_from_scratch.gradcheck.vjp import LIMIT, spaced

EXAMPLE = "as in '3, 4, kernel_size=3'"


class Report(NamedTuple):
    """errors: gradient -> relative error; hints: wrong gradient -> how; complaints: what else is wrong."""

    errors: dict
    hints: dict
    complaints: list

    @property
    def ok(self):
        return not self.hints and not self.complaints


def check_own_layer(word, arguments, shape, seed):
    """Check the layer that "path/to/file.py:Class" names, with x away from the kinks of ReLU and max-pooling.

    arguments: the constructor's, as text; shape: that of x.
    Returns: a Report. Raises: InputError when there is no such layer, or its forward does not take such an x.
    """
    path, name = (word, "") if word.endswith(".py") or ":" not in word else word.rsplit(":", 1)
    rng = np.random.default_rng(seed)
    x = spaced(rng, shape, gap=min(0.01, 4 / np.prod(shape)))
    layer = _make(_layer_class(Path(path), name), arguments, rng, path)
    try:
        function = AsFunction(layer, x)
        for live, value in zip(function.params.values(), function.inputs[1:]):
            live += 0.1 * rng.normal(size=live.shape)  # a parameter that starts at zero would hide mistakes
            value[...] = live
    except (ValueError, TypeError) as error:
        raise InputError(f"{word}: {error}") from None
    try:
        layer.forward(x.copy())
    except Exception as error:
        raise InputError(
            f"{word}: forward fails for x of shape {shape}: {_line(error, path)}. Does --shape fit the layer?"
        ) from None
    try:
        errors = layer_errors(layer, x, rng)
        wrong = [name for name, error in errors.items() if not error < LIMIT]
        parts = function.forward, function.backward, function.inputs
        hints = {name: explain(*parts, function.names.index(name), rng) for name in wrong}
        return Report(errors, hints, broken_promises(layer, x, rng))
    except Exception as error:
        return Report({}, {}, [_line(error, path)])


def parse_arguments(text):
    """Arguments as a call has them, "3, 4, kernel_size=3", as (args, kwargs): literals only, nothing runs."""
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
    """An instance. A constructor that takes `dtype` or `rng` gets float64 and a seeded generator."""
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
            f"What its constructor takes goes into --args, {EXAMPLE}"
        ) from None
    for arrays in (getattr(layer, "params", {}), getattr(layer, "grads", {})):
        for key, array in arrays.items() if isinstance(arrays, dict) else ():
            if getattr(array, "dtype", None) == np.float32:
                arrays[key] = array.astype(np.float64)
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
    """Run the reader's file as a module; what lies beside it can be imported, as for a script."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"own_layer_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for the module of their class there
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
    """The error in one line, with the place in the reader's file if it passed there."""
    text = str(error)
    if not (isinstance(error, ValueError) and text):  # a ValueError's sentence speaks for itself
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == Path(path).resolve()]
    return f"{text} ({Path(path).name}, line {lines[-1]})" if lines else text
