"""Pools to test: windows of every kind over maps of one shape."""

import pytest

SHAPE = (2, 3, 8, 7)
SHARED = {
    "plain": {"kernel_size": (3, 2)},
    "paper": {"kernel_size": 2, "ceil_mode": True},
    "overlapping": {"kernel_size": (3, 4), "stride": (1, 2)},
    "gaps": {"kernel_size": (1, 2), "stride": (3, 3)},
    "padded": {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    "half_the_window_padded": {"kernel_size": (2, 4), "stride": (2, 3), "padding": (1, 2)},
    "ceil": {"kernel_size": (3, 2), "stride": (2, 3), "ceil_mode": True},
    "ceil_padded": {"kernel_size": (2, 3), "stride": 3, "padding": 1, "ceil_mode": True},
    "whole": {"kernel_size": (8, 7)},
}
MAX = SHARED | {
    "dilated": {"kernel_size": (3, 2), "stride": 1, "dilation": (2, 3)},
    "all": {
        "kernel_size": (2, 3),
        "stride": (2, 3),
        "padding": (1, 1),
        "dilation": (3, 2),
        "ceil_mode": True,
    },
}
AVG = SHARED | {f"{name}_uncounted": {**options, "count_include_pad": False} for name, options in SHARED.items()}

max_options = pytest.mark.parametrize("options", MAX.values(), ids=MAX.keys())
avg_options = pytest.mark.parametrize("options", AVG.values(), ids=AVG.keys())


def with_ties(rng, shape=SHAPE):
    return rng.integers(0, 4, shape).astype(float)
