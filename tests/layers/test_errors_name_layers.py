"""An error names the layer that raised it, in whatever chain and in whatever way it runs."""

import numpy as np
import pytest
from arrays import refuses

import fcn_from_scratch
from fcn_from_scratch import layers
from fcn_from_scratch.checks import InputError, naming
from fcn_from_scratch.layers import (
    AvgPool2d,
    BedOfNails,
    BilinearUpsample,
    Branches,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    NearestUpsample,
    PixelShuffle,
    ReLU,
    Sequential,
    ShiftAndStitch,
    Sum,
)

EMPTY, FLAT = np.ones((1, 4, 0, 3), np.float32), np.ones((4, 5, 6), np.float32)
SMALL = np.ones((1, 4, 2, 2), np.float32)


def mine(kind, *arguments, **options):
    return kind(*arguments, **options, name="mine")


UPSAMPLING = (NearestUpsample, BedOfNails, PixelShuffle)
WRONG = [
    *((mine(kind, 3), x) for kind in (MaxPool2d, AvgPool2d) for x in (SMALL, EMPTY, FLAT)),
    *((mine(Conv2d, 4, 2, 3), x) for x in (SMALL, EMPTY, FLAT)),
    *((mine(ConvTranspose2d, 4, 2, 1, 1, 2), x) for x in (SMALL, EMPTY, FLAT)),
    *((mine(BilinearUpsample, 4, 2, 4), x) for x in (SMALL, EMPTY, FLAT)),
    *((mine(kind, 2), x) for kind in UPSAMPLING for x in (EMPTY, FLAT)),
    (mine(PixelShuffle, 3), SMALL),
    (mine(MaxPool2d, 2, dilation=3), SMALL),
    (mine(AvgPool2d, 2, padding=2), SMALL),
    (mine(Crop, 1, 5), SMALL),
    (mine(Crop, 1, 2), FLAT),
    (mine(Crop, 1), SMALL),
    (mine(Linear, 3, 2), SMALL),
    (mine(LocalResponseNorm, 3), EMPTY),
    (mine(MaxUnpool2d), SMALL),
    (mine(ShiftAndStitch, Sequential(Conv2d(4, 1, 3, 2, name="inner")), 2), SMALL),
]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("layer", "x"), WRONG)
def test_every_layer(layer, x, plain):
    for run in (layer, Sequential(ReLU(name="relu"), layer)):
        with refuses(layer.label):
            if plain:
                with fcn_from_scratch.plain():
                    run(x)
            else:
                run(x)


@pytest.mark.parametrize("layer", [mine(Concat), mine(Sum)])
def test_layers_that_join(layer):
    with refuses(layer.label, "(1, 4, 2, 2), (1, 4, 1, 2)"):
        layer(SMALL, SMALL[:, :, :1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("size", "name"), [((2, 9), "Conv2d 'first'"), ((3, 9), "MaxPool2d 'pool'"), ((5, 9), "Conv2d 'last'")]
)
def test_runs_of_layers(size, name, training):
    """A convolution, its ReLU and its pool are one pass in eval mode: the error still tells which of them it was."""
    net = Sequential(
        Conv2d(4, 4, 3, name="first"), ReLU(name="relu"), MaxPool2d(2, name="pool"), Conv2d(4, 1, 2, name="last")
    ).train(training)
    with refuses(f"{name}: the"):
        net(np.ones((1, 4, *size), np.float32))


def test_a_name_is_said_once():
    with pytest.raises(ValueError, match=r"^Conv2d 'mine' expects 4 input channels"):
        mine(Conv2d, 4, 2, 1)(SMALL[:, :3])


def test_a_layer_of_ones_own():
    class Odd(Layer):
        def _forward(self, x):
            raise self.error

    layer = mine(Odd)
    layer.error = ValueError("too odd")
    with pytest.raises(ValueError, match=r"^Odd 'mine': too odd$"):
        layer(SMALL)
    layer.error = InputError("a file is broken")  # it names what the user gave; the class decides the exit status
    with pytest.raises(InputError, match=r"^a file is broken$"):
        layer(SMALL)
    with naming(layer):
        pass


class TestLists:
    """Where layers stand in a row, a list of them is taken or refused in a sentence."""

    def test_a_chain_takes_layers(self):
        with refuses("Sequential takes layers, not lists of them: Sequential(*layers); number 1 is one"):
            Sequential(ReLU(), [ReLU()])

    def test_branches_take_lists(self):
        tuples = Branches((Conv2d(4, 1, 1, name="a"), ReLU(name="r")), (Conv2d(4, 2, 1, name="b"),))
        assert tuples(SMALL).shape == (1, 3, 2, 2)

    def test_shift_and_stitch_takes_both(self):
        for chain in ([MaxPool2d(2)], (MaxPool2d(2),), Sequential(MaxPool2d(2)), MaxPool2d(2)):
            assert ShiftAndStitch(chain, 2)(SMALL).shape == (1, 4, 1, 1)

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_pairs(self, kind):
        two, three, zero = kind((2, 2)), kind((2, 3)), kind((0, 1))
        x = np.random.default_rng(0).normal(size=(1, 4, 6, 8))
        made = [
            Conv2d(4, 2, three, two, zero, two, dtype=np.float64),
            ConvTranspose2d(4, 2, three, two, zero, zero, dtype=np.float64),
            MaxPool2d(three, two, zero, two),
            AvgPool2d(three, two, zero),
            BilinearUpsample(three, two, zero),
            NearestUpsample(three),
            BedOfNails(three),
            Crop(zero, two),
            ShiftAndStitch(MaxPool2d(three), three),
            layers.upsampler("bilinear", 4, three, two),
        ]
        for layer in made:
            y = layer(x)
            assert layer.backward(np.ones_like(y)).shape == x.shape
