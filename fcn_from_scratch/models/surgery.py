"""Net surgery: what one network hands on to the next."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.weights import fills


class Transplant(NamedTuple):
    """What became of every parameter."""

    copied: list  # in both networks, and the same shape
    reshaped: list  # in both, with the same numbers in another shape: fc6 and fc7
    dropped: list  # only in the old network, or of another size
    initialised: list  # only in the new network, or of another size: as the network was built

    def __str__(self):
        return "; ".join(f"{word}: {', '.join(names) or 'none'}" for word, names in self._asdict().items())


def transplant(new, old):
    """Copy into the network `new` every parameter that `old` has under the same name.

    A fully connected weight (F, C*k*k) becomes the convolution's (F, C, k, k) by a plain reshape: both list their
    inputs channel by channel, row by row. This is what turns a classifier into a fully convolutional network. What
    has another number of elements (a score layer for other classes) is not copied.

    new, old  models; old may also be a state dict (name -> array)
    Returns: a Transplant report. Source: the surgery of the paper's public code. Lessons 5 and 11.
    """
    source = old if isinstance(old, dict) else old.state_dict()
    target = new.params
    report = Transplant([], [], [], [])
    state = {}
    for name, array in source.items():
        if name not in target or not fills(array.shape, target[name].shape):
            report.dropped.append(name)
            continue
        same = target[name].shape == array.shape
        (report.copied if same else report.reshaped).append(name)
        state[name] = np.reshape(array, target[name].shape)
    report.initialised.extend(name for name in target if name not in state)
    new.load_state_dict(state, strict=False)
    return report
