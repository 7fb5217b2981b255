"""The window of a layer. From it, geometry computes the positions and receptive fields of the layer's outputs."""

from collections import namedtuple

from fcn_from_scratch import checks


class Window(namedtuple("Window", "kernel_size stride padding dilation transposed")):
    """The input pixels that an output pixel of a layer reads.

    transposed = False   y[i] reads x[s*i + d*a - p] for a = 0 ... k - 1, as in convolution and pooling
    transposed = True    y[s*i + d*a - p] reads x[i] for a = 0 ... k - 1, as in upsampling
    kernel_size, stride, padding, dilation   k, s, p and d, integers or pairs (vertical, horizontal), kept as pairs.
                 A negative padding leaves out the first pixels, as a crop does.
    Identity: geometry.receptive_field of a layer is the region where its gradients are not zero
    (tests/geometry/test_declared.py).
    Raises: ValueError for anything but an integer or a pair of integers, and for k, s or d below 1. Lesson 6.
    """

    __slots__ = ()

    def __new__(cls, kernel_size, stride=1, padding=0, dilation=1, transposed=False):
        return super().__new__(
            cls,
            checks.pair(kernel_size, "kernel_size", 1),
            checks.pair(stride, "stride", 1),
            checks.pair(padding, "padding", None),
            checks.pair(dilation, "dilation", 1),
            bool(transposed),
        )

    def __str__(self):
        """The kernel size, and the other numbers that are not the default, in short: 3x3 /2 pad 100 dilated 2."""
        words = ["x".join(map(str, self.kernel_size))]
        for value, usual, word in ((self.stride, 1, "/"), (self.padding, 0, "pad "), (self.dilation, 1, "dilated ")):
            if value != (usual, usual):
                words.append(word + in_short(value))
        return " ".join(words)


ONE_PIXEL = Window(1)


def declared_window(layer):
    """The Window that a layer declares, or None.

    Raises: ValueError when it declares something else, such as a bare number.
    """
    window = layer.window
    if window is None or isinstance(window, Window):
        return window
    raise ValueError(
        f"{layer.label} declares the window {window!r}. It must be a layers.Window, such as "
        "layers.Window(kernel_size=3)"
    )


def in_short(pair):
    """A pair as text: "2" if both numbers are 2, "1x2" for 1 and 2."""
    return str(pair[0]) if pair[0] == pair[1] else "x".join(map(str, pair))
