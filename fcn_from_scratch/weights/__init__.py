"""Weights from files: read(path) gives the arrays, load(model, path) puts them into a network and says what became
of each."""

import math
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights.npz import read_npz

__all__ = ["Report", "fill", "fills", "load", "parameters", "read"]

MODEL_PREFIX = "model/"  # under which a checkpoint keeps the parameters, beside the optimiser's state


class Report(NamedTuple):
    """What became of a file's arrays: the parameters they filled, the model's parameters that the file has not, and
    the file's arrays that the model has no use for."""

    used: list
    missing: list
    unused: list

    def __str__(self):
        lines = [f"{len(self.used)} parameters loaded"]
        lines += [f"{word}: {', '.join(names)}" for word, names in self._asdict().items() if names and word != "used"]
        return "; ".join(lines)


def read(path):
    """The parameters in a file: name -> array, dotted names as in a model's state_dict.

    Reads .npz: this project's checkpoints (of which the parameters are returned) and plain archives of arrays.
    Raises: InputError that names the file and what is wrong with it.
    """
    arrays = read_npz(path)
    return parameters(arrays) or arrays


def parameters(arrays):
    """The parameters among a checkpoint's arrays, under the names they have in the model."""
    return {name[len(MODEL_PREFIX) :]: array for name, array in arrays.items() if name.startswith(MODEL_PREFIX)}


def load(model, path):
    """Fill a model's parameters from a file; values are copied unchanged.

    A fully connected weight (F, C*k*k) fills the convolution's (F, C, k, k) by a plain reshape: fc6 and fc7.
    Returns: a Report with `used`, `missing` and `unused` names.
    Raises: InputError when no name fits, or an array of a right name has a wrong shape. The model is unchanged then.
    """
    return fill(model, read(path), path)


def fill(model, arrays, path):
    """What load does once the file is read: `arrays` are its parameters, and complaints name `path`."""
    params = model.params
    state, unused = {}, []
    for name, array in arrays.items():
        if name not in params:
            unused.append(name)
        elif not fills(array.shape, params[name].shape):
            raise InputError(
                f"{path}: {name} has shape {array.shape}, the model's has {tuple(params[name].shape)}. Was it trained "
                "for another number of classes, or another width?"
            )
        else:
            state[name] = np.reshape(array, params[name].shape)
    if not state:
        raise InputError(
            f"{path}: none of its {len(arrays)} arrays has the name of a parameter; the model has "
            f"{', '.join(list(params)[:3])}, ..., the file {', '.join(list(arrays)[:3]) or 'nothing'}"
        )
    model.load_state_dict(state, strict=False)
    return Report(list(state), [name for name in params if name not in state], unused)


def fills(shape, target):
    """The same shape, or a fully connected layer's (F, C*k*k) for a convolution's (F, C, k, k). Only the number of
    elements would not do: a weight stored in another order has that too."""
    flat = len(shape) == 2 and len(target) == 4 and shape == (target[0], math.prod(target[1:]))
    return flat or tuple(shape) == tuple(target)
