"""Net surgery: copy the parameters of one network into the next."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.layers.base import fills


class Transplant(NamedTuple):
    """What became of every parameter."""

    copied: list  # in both networks, with the same shape
    reshaped: list  # in both networks, with the same numbers in another shape: fc6 and fc7
    dropped: list  # only in the old network, or of another size in the new one
    initialised: list  # only in the new network, or of another size in the old one; left as the network was built

    def __str__(self):
        return "; ".join(f"{word}: {', '.join(names) or 'none'}" for word, names in self._asdict().items())


def transplant(new, old, suffix=""):
    """Copy into the network `new` every parameter that `old` has under the same name.

    A fully connected weight (F, C*k*k) becomes the convolution's (F, C, k, k) by a plain reshape, since both list their
    inputs channel by channel, row by row. This turns a classifier into a fully convolutional network. A parameter of
    another size, such as a score layer for other classes, is not copied. Learned upsampling layers are copied like any
    other layer. Fixed ones have no parameters and stay bilinear.

    new, old  models; old may also be a state dict (name -> array)
    suffix    an old layer is copied to the new layer called layer + suffix if there is one, else to the new layer with
              its own name: "color" and "hha" fill the streams of late fusion; "_sem" fills one of two heads, and their
              trunk
    Returns: a Transplant report. `dropped` has the old network's names, the other lists have the new one's.
    Identity: a network transplanted into itself computes the same as before  (tests/models/test_surgery.py).
    Source: the surgery of the paper's public code. Lessons 5, 11 and 14.
    """
    source = old if isinstance(old, dict) else {name: to_numpy(array) for name, array in old.params.items()}
    target = new.params
    report = Transplant([], [], [], [])
    state = {}
    for old_name, array in source.items():
        name = _renamed(old_name, suffix, target)
        if name not in target or not fills(array.shape, target[name].shape):
            report.dropped.append(old_name)
            continue
        same = target[name].shape == array.shape
        (report.copied if same else report.reshaped).append(name)
        state[name] = np.reshape(array, target[name].shape)
    report.initialised.extend(name for name in target if name not in state)
    new.load_state_dict(state, strict=False)
    return report


def with_depth(old, fill="mean"):
    """Turn the parameters of a network on three channels into those of one on four: conv1_1 becomes conv1_1_bgrd.

    weight[:, :3] is the old weight. weight[:, 3] reads the depth.

    fill     how weight[:, 3] starts. "mean": the mean over the three channels, as in the paper's public code, so that
             depth is read like a grey picture. "zero": zeros, so that at first the scores are those of the old network,
             whatever the depth
    old      a model or a state dict with conv1_1.weight (F, 3, kh, kw)
    Returns: a state dict for transplant(new, ...), where `new` was built with in_channels=4. Lesson 14.
    Raises: ValueError when there is no such weight.
    """
    checks.choice(fill, "fill", ("mean", "zero"))
    state = dict(old) if isinstance(old, dict) else old.state_dict()
    weight = state.pop("conv1_1.weight", None)
    if weight is None or weight.ndim != 4 or weight.shape[1] != 3:
        found = "none" if weight is None else f"shape {weight.shape}"
        raise ValueError(f"depth is added to a conv1_1.weight of three input channels, (F, 3, kh, kw); got {found}")
    depth = weight.mean(axis=1, keepdims=True) if fill == "mean" else np.zeros_like(weight[:, :1])
    state["conv1_1_bgrd.weight"] = np.concatenate([weight, depth], axis=1)
    if "conv1_1.bias" in state:
        state["conv1_1_bgrd.bias"] = state.pop("conv1_1.bias")
    return state


def _renamed(name, suffix, target):
    """Add the suffix to the layer's name if the target has such a parameter. Otherwise keep the name."""
    layer, dot, kind = name.rpartition(".")
    return layer + suffix + dot + kind if layer + suffix + dot + kind in target else name
