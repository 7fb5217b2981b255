"""The table of `fcn gradcheck`: every op and layer of the package, each with its worst configuration."""

import zlib
from itertools import product
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fcn_from_scratch.backend import device_module, get_array_module, to_device
from fcn_from_scratch.gradcheck.layer_cases import LAYERS
from fcn_from_scratch.gradcheck.layers import layer_check
from fcn_from_scratch.gradcheck.op_cases import OPS
from fcn_from_scratch.gradcheck.vjp import LIMIT, vjp_check


class Row(NamedTuple):
    """One op or layer: the number of configurations that were checked, and the worst of them."""

    name: str
    configurations: int
    error: float  # the largest relative error; infinity when the check raised an error
    configuration: str  # the configuration with this error
    problem: str = ""  # the message of the error that the check raised

    @property
    def ok(self):
        return self.error < LIMIT


def names():
    """Every op and layer that has cases, in the order of the table."""
    return [*OPS, *LAYERS]


def find(word):
    """The names that a word stands for. Case and underscores do not count: "maxpool2d" is the op and the layer."""
    return [name for name in names() if _plain(name) == _plain(word)]


def _plain(name):
    return name.replace("_", "").lower()


def run_cases(names_to_run=None, seed=0, device="cpu", progress=True):
    """Check the named ops and layers (all of them by default) in all their configurations.

    Every configuration is checked twice, with contiguous arrays and with strided ones. The random numbers for a name
    depend only on the seed and the name, not on what else is checked.
    Returns: a list of Row.
    """
    device_module(device)
    chosen = names() if names_to_run is None else list(names_to_run)
    bar = tqdm(chosen, unit=" checks", leave=False, disable=None if progress else True)
    return [_row(name, seed, device) for name in bar]


def _row(name, seed, device):
    make, configurations = (OPS if name in OPS else LAYERS)[name]
    check = _check_op if name in OPS else _check_layer
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    tried = []
    for options, strided in product(configurations, (False, True)):
        words = [f"{key}={value}" for key, value in options.items()] + ["strided arrays"] * strided
        try:
            error, problem = check(make(rng, **options), device, strided, rng), ""
        except ValueError as refusal:
            error, problem = np.inf, str(refusal)
        tried.append((error, ", ".join(words) or "plain", problem))
    error, configuration, problem = max(tried, key=lambda one: one[0])
    return Row(name, len(tried), error, configuration, problem)


def _check_op(case, device, strided, rng):
    forward, backward, inputs = case
    inputs = [_place(x, device, strided) for x in inputs]
    return vjp_check(forward, lambda dy: backward(_place(dy, device, strided), *inputs), inputs, rng)


def _check_layer(case, device, strided, rng):
    layer, x = case
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape)  # a bias starts at zero, which would hide mistakes
    several = isinstance(x, tuple)
    x = tuple(_place(one, device, strided) for one in x) if several else _place(x, device, strided)
    return max(layer_check(layer.to(device), x, rng).values())


def _place(array, device, strided):
    """The array on the device. If strided, it is a view of every second number of an array twice as wide."""
    array = to_device(array, device)
    if not strided or array.ndim == 0:
        return array
    doubled = get_array_module(array).zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    doubled[..., ::2] = array
    return doubled[..., ::2]
