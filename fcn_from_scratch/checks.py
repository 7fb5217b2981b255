"""Checks of shapes, dtypes and label ranges, with the messages of their errors.

A message says what was expected and what was given. If a cause is likely, it names the cause. There are two kinds:

ValueError   an array or an argument does not fit: the mistake is in the caller's code
InputError   a file, a label or a command-line word does not fit: the mistake is in the user's input. The command
             line prints the message in one line and exits with status 2
"""

import math
import operator

import numpy as np

REALS = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


MOST_AXES = 32  # of any array in a file; NumPy 1 cannot have more
ENDLESS = 2**60  # numbers: more than any file has


class InputError(ValueError):
    """A mistake in the user's input: one sentence, no traceback."""


class UnreadableError(InputError):
    """A file that cannot be read: it is missing, empty, cut short, or not of its kind. Others may be fine."""


# --- arguments -------------------------------------------------------------------------------------------------


def pair(value, name, minimum):
    """An integer or a pair of integers (vertical, horizontal) as a pair; each at least `minimum`, if there is one."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if [*map(type, values)] != [int, int]:  # mostly they are, and every operation asks for several pairs
        try:
            values = tuple(map(operator.index, values))
        except TypeError:
            raise ValueError(f"{name} must be an integer or a pair of integers; got {value!r}") from None
        if len(values) != 2:
            raise ValueError(f"{name} must be an integer or a pair of integers; got {value!r}")
    if minimum is not None and min(values) < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value!r}")
    return values


def integer(value, name, minimum):
    """An integer argument at least `minimum`."""
    try:
        value = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer; got {value!r}") from None
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value}")
    return value


def probability(value, name):
    """A number p with 0 <= p < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be a probability, at least 0 and below 1; got {value!r}")
    return float(value)


def not_negative(value, name):
    """A finite number that is zero or more."""
    if not value >= 0:
        raise ValueError(f"{name} must not be negative; got {value!r}")
    if math.isinf(value):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return float(value)


def choice(value, name, allowed):
    """One of a few words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


class naming:
    """with naming(layer): a ValueError that is raised inside gets the layer's label, unless its text has it already."""

    def __init__(self, layer):
        self.layer = layer

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is ValueError and self.layer.label not in str(error):
            raise ValueError(f"{self.layer.label}: {error}") from error


# --- arrays ----------------------------------------------------------------------------------------------------


def ndim(array, number, name, axes):
    """An array with the given number of axes, none of them empty."""
    is_array(array, name)
    if array.ndim != number:
        raise ValueError(f"{name} must have shape {axes}; got shape {array.shape}")
    not_empty(array, name)


def is_array(array, name):
    if not hasattr(array, "ndim"):
        raise ValueError(f"{name} must be an array; got {type(array).__name__}")


def not_empty(array, name):
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")


def floating(array):
    """The array if its numbers are real; integers (an image as read from disk) become float64, so none wraps."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def same_shape(array, shape, name, origin):
    """`array`, called `name`, has the shape that `origin` gives it."""
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, as {origin}; got {tuple(array.shape)}")


def output_fits(out, size, span, padding, what):
    """Every output size is at least one pixel; else the kernel is larger than what it runs over."""
    if min(out) < 1:
        raise ValueError(
            f"{what} spans {span[0]}x{span[1]} pixels, which is more than its input: {size[0]}x{size[1]} with "
            f"padding {padding[0]} and {padding[1]}. The output would be empty"
        )


def floating_result(xp, *arrays):
    """The dtype that arithmetic on these arrays has: theirs, or float64 if all of them are integers."""
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) == 1 and dtypes <= REALS:  # nearly always, and every operation asks
        return dtypes.pop()
    dtype = xp.result_type(*arrays)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def conv_channels(weight_shape, x_shape, groups):
    """A convolution's weight (F, C/G, kh, kw) fits x (N, C, H, W) and the groups divide both channel counts."""
    f, c = weight_shape[:2]
    if f % groups:
        raise ValueError(f"groups must divide the channels evenly; got {groups} groups of {f} output channels")
    if x_shape[1] != c * groups:
        raise ValueError(
            f"conv2d expects {c * groups} input channels (weight is {tuple(weight_shape)}, groups {groups}); "
            f"got x with shape {tuple(x_shape)}"
        )


def groups(number, in_channels, out_channels):
    """The groups of a layer divide both numbers of channels."""
    if in_channels % number or out_channels % number:
        raise ValueError(
            f"groups must divide the channels evenly; got {number} groups of {in_channels} input and {out_channels} "
            "output channels"
        )


def conv_transpose_weight(weight, x_shape, groups=1):
    """A transposed convolution's weight (C, O/G, kh, kw) fits x (N, C, H, W), and the groups divide its channels."""
    ndim(weight, 4, "weight", "(in_channels, out_channels / groups, kh, kw)")
    if x_shape[1] != weight.shape[0]:
        raise ValueError(
            f"conv_transpose2d expects {weight.shape[0]} input channels (weight is {tuple(weight.shape)}, input "
            f"channels first); got x with shape {tuple(x_shape)}"
        )
    if x_shape[1] % groups:
        raise ValueError(f"groups must divide the channels evenly; got {groups} groups of {x_shape[1]} input channels")


def output_padding(extra, stride, dilation):
    """More rows and columns at the end of a transposed convolution's output: fewer than a stride or a dilation."""
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(
            f"output_padding must be smaller than the stride or the dilation; got {extra} for stride {stride} and "
            f"dilation {dilation}"
        )


def bias(array, channels):
    """A bias is None or has one number for each output channel."""
    if array is not None and tuple(array.shape) != (channels,):
        raise ValueError(f"bias must have shape ({channels},), one for each output channel; got {tuple(array.shape)}")


def channels(layer, x, expected):
    """x (N, C, H, W) has the channels the layer was made for."""
    is_array(x, "x")
    if x.ndim != 4 or x.shape[1] != expected:
        raise ValueError(
            f"{layer.label} expects {expected} input channels (weight is {tuple(layer.params['weight'].shape)}); got "
            f"x with shape {tuple(x.shape)}. Is the array from another layer?"
        )


def same_sizes(layer, maps, channels=False):
    """Maps (N, C, H, W) that are joined have the same N, H and W and, if it matters, the same channels."""
    axes = (0, 1, 2, 3) if channels else (0, 2, 3)
    if not maps or any(x.ndim != 4 for x in maps) or len({tuple(x.shape[a] for a in axes) for x in maps}) > 1:
        what = "shape" if channels else "height and width"
        raise ValueError(
            f"{layer.label} joins maps of equal {what}; got {', '.join(str(tuple(x.shape)) for x in maps)}"
        )


def scores_cover_the_image(offset):
    """The upsampled scores start at the image's first pixel or before it."""
    missing = -min(pair(offset, "offset", None))
    if missing > 0:
        raise ValueError(
            f"the scores would start at pixel {missing} of the image, not at pixel 0: raise pad, the first "
            f"convolution's padding, by {missing}, or give fc6 a padding"
        )


# --- labels ----------------------------------------------------------------------------------------------------


def integer_labels(labels, name="labels"):
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers (class ids); got dtype {labels.dtype}")


def label_range(labels, num_classes, ignore_index, name="labels"):
    """Every id is 0..num_classes-1 or the ignore label; another one is named.

    Raises: ValueError that gives the id, how often it occurs and what is allowed.
    """
    integer_labels(labels, name)
    if labels.size and labels.min() >= 0 and labels.max() < num_classes:  # half the time of what comes below
        return
    wrong = (labels < 0) | (labels >= num_classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        ids = labels[wrong]
        first, count = int(ids[0]), math.prod(ids.shape)
        hint = f" and {ignore_index} (ignore)" if ignore_index is not None else ""
        raise ValueError(
            f"{name} contain the id {first} ({count} pixel{'s' * (count > 1)} out of range); "
            f"allowed are 0..{num_classes - 1}{hint}"
        )


def file_label_range(labels, num_classes, ignore_index, path):
    """label_range for ids that came from a file: InputError naming it."""
    try:
        label_range(labels, num_classes, ignore_index, f"the labels in {path}")
    except ValueError as error:
        raise InputError(str(error)) from None


def labels_fit(image, labels, image_name, labels_name):
    """Labels (..., H, W) have the height and width of their image (H, W, C)."""
    if image.shape[:2] == labels.shape[-2:]:
        return
    (height, width), (rows, columns) = image.shape[:2], labels.shape[-2:]
    hint = ""
    if (height, width) == (columns, rows):
        hint = "; labels must fit the picture as it is displayed, after its EXIF orientation"
    raise InputError(f"{image_name} is {height}x{width} pixels but {labels_name} is {rows}x{columns}{hint}")


def files_exist(paths):
    """Every path is a file; missing ones are named."""
    for path in paths:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"files of the dataset are missing ({len(missing)}): {few(missing)}")


def numbers_claimed(shape, most=ENDLESS):
    """How many numbers an array of a shape from a file has; most + 1 if there are more than `most`.

    The product stops growing there, so that a shape costs nothing, whatever it claims.
    Raises: InputError for more than MOST_AXES axes.
    """
    if len(shape) > MOST_AXES:
        raise InputError(f"it has an array of {len(shape)} axes, more than the {MOST_AXES} of any array")
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count > most:
            return most + 1
    return count


def printable(text):
    """Text with "?" for every character that could control a terminal, and for bytes of a name that are not UTF-8."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def few(names, number=5):
    """The first names as a text, and how many more there are."""
    more = len(names) - number
    return ", ".join(names[:number]) + (f" and {more} more" if more > 0 else "")
