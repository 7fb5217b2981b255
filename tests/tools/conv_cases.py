"""Convolutions to test: arguments of every kind, and each algorithm that takes them; the loops they are held to."""

import pytest

from fcn_from_scratch.ops import loops

# Input channels, output channels, kernel, and the arguments; the input is 2 x channels x 9 x 11.
CASES = {
    "plain": (3, 4, (3, 2), {}),
    "pointwise": (3, 4, (1, 1), {}),
    "pointwise_strided": (3, 4, (1, 1), {"stride": (2, 3)}),
    "strided": (3, 4, (3, 2), {"stride": (2, 3)}),
    "stride_above_kernel": (3, 4, (2, 1), {"stride": (3, 4)}),
    "padded": (3, 4, (3, 4), {"padding": (1, 2)}),
    "padded_beyond_kernel": (3, 4, (2, 3), {"padding": (4, 3)}),
    "dilated": (3, 4, (3, 2), {"dilation": (2, 3)}),
    "dilated_padded": (3, 4, (3, 2), {"padding": (3, 1), "dilation": (2, 3)}),
    "all": (3, 4, (3, 2), {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 4)}),
    "whole_input": (3, 4, (9, 11), {}),
    "groups": (4, 6, (3, 2), {"groups": 2, "padding": (1, 0)}),
    "groups_strided": (4, 6, (3, 2), {"groups": 2, "stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)}),
    "depthwise": (4, 8, (2, 3), {"groups": 4, "stride": (2, 1)}),
}


# What only some algorithms take. Together with CASES and "auto", each one that takes it is asked for by name.
CASES |= {
    "three_by_three": (3, 4, (3, 3), {}),
    "three_by_three_padded": (3, 4, (3, 3), {"padding": (1, 2)}),
}


def takes(algorithm, kernel_size, options):
    """Whether an algorithm is made for such a convolution."""
    if algorithm == "winograd":
        return kernel_size == (3, 3) and not options.keys() & {"stride", "dilation", "groups"}
    return algorithm == "im2col" or "groups" not in options


ASKED = {
    f"{name}-{algorithm}": (*case[:3], {**case[3], "algorithm": algorithm})
    for name, case in CASES.items()
    for algorithm in ("im2col", "wide", "winograd", "implicit")
    if takes(algorithm, *case[2:])
}


@pytest.fixture(params=CASES | ASKED)
def conv_case(request, rng):
    """Arrays (x, weight, bias) and the arguments."""
    c, f, kernel_size, options = (CASES | ASKED)[request.param]
    weight = rng.normal(size=(f, c // options.get("groups", 1), *kernel_size))
    return (rng.normal(size=(2, c, 9, 11)), weight, rng.normal(size=f)), options


def by_loops(*arrays, algorithm=None, **options):
    return loops.conv2d_loops(*arrays, **options)
