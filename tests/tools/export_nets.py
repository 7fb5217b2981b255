"""Networks with weights that show every mistake, and pictures for them."""

import importlib

import numpy as np
import pytest

from fcn_from_scratch import models

CLASSES = {"two_heads": (3, 4)}
WIDTHS = {"fcn_googlenet": 8}  # with fewer channels its branches would have one each


def network(name, seed=1, **options):
    """A thin network in eval mode. None of its score layers and biases is zero, and its scores are of size one."""
    classes = next((number for word, number in CLASSES.items() if word in name), 3)
    net = models.build(name, classes, seed=seed, **{"width": WIDTHS.get(name, 2), **options}).eval()
    rng = np.random.default_rng(seed)
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape) / np.sqrt(array[0].size)
        elif key.endswith("bias"):
            array[...] = rng.uniform(-0.1, 0.4, size=array.shape)
        elif key.startswith("up"):  # learned kernels
            array += 0.1 * rng.normal(size=array.shape).astype(array.dtype)
    return net


def pictures(net, count, size, rng):
    streams = getattr(getattr(net, "trunk", None), "channels", None)
    channels = sum(streams) if streams else next(iter(net.params.values())).shape[1]
    return rng.normal(size=(count, channels, *size)).astype(np.float32)


def all_scores(net, x):
    """The scores of every head, as a list."""
    scores = net(x)
    return list(scores) if isinstance(scores, tuple) else [scores]


def package(name):
    """A package that only tests use, as an oracle; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"the package {name} is not installed")
