"""Every complaint about shapes, dtypes and label ranges is worded here.

A complaint names what was expected and what came, and guesses at the cause where one is likely. Two kinds:

ValueError   an array or an argument does not fit: the caller's code is at fault
InputError   a file, a label or a command-line word does not fit: the user's input is at fault. The command
             line prints it as one line and exits with status 2.
"""

import math
import operator

import numpy as np


class InputError(ValueError):
    """A mistake in what the user gave: one sentence, no traceback."""


# --- arguments -------------------------------------------------------------------------------------------------


def pair(value, name, minimum):
    """An integer or a pair of integers (vertical, horizontal) as a pair; each at least `minimum`."""
    values = value if isinstance(value, (tuple, list)) else (value, value)
    try:
        values = tuple(operator.index(v) for v in values)
    except TypeError:
        raise ValueError(f"{name} is an integer or a pair of integers; got {value!r}") from None
    if len(values) != 2:
        raise ValueError(f"{name} is an integer or a pair of integers; got {value!r}")
    if min(values) < minimum:
        raise ValueError(f"{name} is at least {minimum}; got {value!r}")
    return values


def integer(value, name, minimum):
    """An integer argument at least `minimum`."""
    try:
        value = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is an integer; got {value!r}") from None
    if value < minimum:
        raise ValueError(f"{name} is at least {minimum}; got {value}")
    return value


def probability(value, name):
    """A number p with 0 <= p < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} is a probability, at least 0 and below 1; got {value!r}")
    return float(value)


def choice(value, name, allowed):
    """One of a few words."""
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


# --- arrays ----------------------------------------------------------------------------------------------------


def ndim(array, number, name, axes):
    """An array with the given number of axes, none of them empty."""
    if array.ndim != number:
        raise ValueError(f"{name} has shape {axes}; got shape {array.shape}")
    not_empty(array, name)


def not_empty(array, name):
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")


def floating(array):
    """The array if its numbers are real; integers (an image as read from disk) become float64, so none wraps."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def same_shape(array, shape, name, origin):
    """`array`, called `name`, has the shape that `origin` gives it."""
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} has shape {tuple(shape)}, as {origin}; got {tuple(array.shape)}")


def output_size(size, kernel_size, stride, padding, dilation, what):
    """The two output sizes of a convolution, (size + 2p - d(k - 1) - 1) // s + 1, at least one pixel each."""
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation)
    )
    if min(out) < 1:
        span = tuple(d * (k - 1) + 1 for k, d in zip(kernel_size, dilation))
        raise ValueError(
            f"{what} is larger than its padded input: it spans {span[0]}x{span[1]} pixels, the input is "
            f"{size[0]}x{size[1]} with padding {padding[0]} and {padding[1]}"
        )
    return out


# --- labels ----------------------------------------------------------------------------------------------------


def integer_labels(labels, name="labels"):
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} are integers (class ids); got dtype {labels.dtype}")


def label_range(labels, num_classes, ignore_index, name="labels"):
    """Every id is 0..num_classes-1 or the ignore label; another one is named.

    Raises: ValueError that gives the id, how often it occurs and what is allowed.
    """
    integer_labels(labels, name)
    wrong = (labels < 0) | (labels >= num_classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        ids = labels[wrong]
        first = int(ids[0])
        hint = f" and {ignore_index} (ignore)" if ignore_index is not None else ""
        raise ValueError(
            f"{name} contain the id {first} ({math.prod(ids.shape)} pixels are out of range); "
            f"allowed are 0..{num_classes - 1}{hint}"
        )
