"""The window of a layer: its numbers as pairs, in words, and where a layer may declare it."""

import pytest
from arrays import refuses

from fcn_from_scratch.layers import AvgPool2d, Conv2d, Layer, MaxPool2d, NearestUpsample, ReLU, Window


def test_numbers_are_pairs():
    window = Window(3, stride=(1, 2))
    assert window == ((3, 3), (1, 2), (0, 0), (1, 1), False)
    assert Window((5, 3), 2, -1, 4, transposed=True) == ((5, 3), (2, 2), (-1, -1), (4, 4), True)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0,), "kernel_size must be at least 1; got 0"),
        ((3, (0, 1)), "stride must be at least 1"),
        ((3, 1, 0.5), "padding must be an integer or a pair of integers; got 0.5"),
        ((3, 1, 0, 0), "dilation must be at least 1"),
    ],
)
def test_other_numbers_are_refused(numbers, words):
    with refuses(words):
        Window(*numbers)


def test_in_words():
    assert str(Window((3, 2))) == "3x2"
    assert str(Window(3, 2, (100, 1), 4)) == "3x3 /2 pad 100x1 dilated 4"


def test_follows_the_layers_numbers():
    conv, pool, mean = Conv2d(1, 1, (3, 2), 2, 1, (1, 4)), MaxPool2d(2, ceil_mode=True), AvgPool2d(3, 2, 1)
    assert [layer.window for layer in (conv, pool, mean)] == [
        Window((3, 2), 2, 1, (1, 4)),
        Window(2, 2),
        Window(3, 2, 1),
    ]
    conv.padding = (5, 6)
    assert conv.window.padding == (5, 6)
    assert NearestUpsample((2, 3)).window == Window((2, 3), (2, 3), transposed=True)
    assert ReLU().window == Window(1)
    assert Layer().window is None


def test_is_declared_in_the_class_or_in_the_layer():
    class One(Layer):
        window, kind = Window(3), "one"

    class Other(Layer):
        def __init__(self):
            super().__init__()
            self.window = Window(5, padding=2)

    assert (One().output_shape((4, 9, 8)), One().kind) == ((4, 7, 6), "one")
    assert (Other().output_shape((4, 9, 8)), Other().kind) == ((4, 9, 8), "other 5x5 pad 2")


def test_defaults_say_what_they_are():
    assert "each output pixel reads" in Layer.window.__doc__
    assert "memory" in Layer.in_place.__doc__
