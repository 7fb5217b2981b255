"""A classifier as a fully convolutional net: the same weights, and the same numbers on every crop."""

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch import geometry, models
from fcn_from_scratch.dense import convolutionalize, rarefy, shift_and_stitch
from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential


def classifier(rng, cells=(3, 3)):
    """An unpadded classifier of crops whose map is `cells` after two strides of 2: a field of 6 + 4 * cells."""
    k = {"rng": rng, "dtype": np.float64}
    net = Sequential(
        Conv2d(3, 4, 3, **k, name="conv1"),
        ReLU(name="relu1"),
        MaxPool2d(2, name="pool1"),
        Conv2d(4, 5, 3, **k, name="conv2"),
        ReLU(name="relu2"),
        MaxPool2d(2, name="pool2"),
        Flatten(name="flatten"),
        Linear(5 * cells[0] * cells[1], 7, **k, name="fc6"),
        ReLU(name="relu6"),
        Dropout(0.5, rng=rng, name="drop6"),
        Linear(7, 6, bias=False, **k, name="fc7"),
        Linear(6, 4, **k, name="fc8"),
    )
    for array in net.params.values():
        array[...] = rng.normal(size=array.shape)
    return net.eval()


class TestConvolutionalize:
    @pytest.mark.parametrize(("cells", "kernel_size"), [((3, 3), None), ((2, 3), (2, 3)), ((1, 1), None)])
    def test_each_output_is_the_classifier_on_its_crop(self, cells, kernel_size, rng):
        net = classifier(rng, cells)
        fcn = convolutionalize(net, kernel_size)
        crop = [6 + 4 * c for c in cells]
        assert geometry.receptive_field(fcn).axes[1].size == crop[1]
        x = rng.normal(size=(2, 3, crop[0] + 9, crop[1] + 14))
        y = fcn(x)
        assert y.shape == (2, 4, 3, 4)
        for i, j in np.ndindex(3, 4):
            close(y[:, :, i, j], net(x[:, :, 4 * i : 4 * i + crop[0], 4 * j : 4 * j + crop[1]]))

    def test_densely(self, rng):
        """And of every crop, not only of every fourth, when the net is rarefied or stitched."""
        net = classifier(rng)
        fcn, x = convolutionalize(net), rng.normal(size=(1, 3, 23, 21))
        dense = rarefy(fcn)(x)
        close(shift_and_stitch(fcn, x), dense, 1e-12)
        assert dense.shape[2:] == (6, 4)
        for i, j in np.ndindex(6, 4):
            close(dense[:, :, i, j], net(x[:, :, i : i + 18, j : j + 18]))

    def test_arrays_are_shared_until_converted(self, rng):
        net = classifier(rng).train()
        fcn = convolutionalize(net)
        assert list(fcn.params) == list(net.params)
        for name in net.params:
            assert np.shares_memory(fcn.params[name], net.params[name])
            assert np.shares_memory(fcn.grads[name], net.grads[name])
        assert fcn.params["fc6.weight"].shape == (7, 5, 3, 3)
        x = rng.normal(size=(2, 3, 18, 18))
        dy = rng.normal(size=(2, 4, 1, 1))
        net.children["drop6"].p = fcn.children["drop6"].p = 0.0
        fcn(x)
        dx = fcn.backward(dy)
        once = {name: gradient.copy() for name, gradient in net.grads.items()}
        net.zero_grad()
        assert not fcn.grads["fc6.weight"].any()
        net(x)
        close(net.backward(dy[:, :, 0, 0]), dx)
        for name in once:
            close(net.grads[name], once[name])
        fcn.astype(np.float32)
        assert {array.dtype for array in net.params.values()} == {np.dtype(np.float64)}

    def test_the_mini_classifier(self, rng):
        """Padded, so only on images of its own size."""
        net = models.build("mini_classifier", 5, width=2, fc6_kernel=2)
        fcn = convolutionalize(net)
        x = rng.normal(size=(2, 3, 64, 64)).astype(np.float32)
        close(fcn(x)[:, :, 0, 0], net(x), 1e-5)
        assert fcn.transform is net.transform
        assert geometry.receptive_field(fcn).stride == 32
        assert fcn(rng.normal(size=(1, 3, 100, 130)).astype(np.float32)).shape == (1, 5, 3, 4)
        finer = rarefy(fcn, 16)(rng.normal(size=(1, 3, 96, 128)).astype(np.float32))
        assert finer.shape == (1, 5, 3, 5)

    def test_errors(self, rng):
        net = classifier(rng, (2, 3))
        with refuses("Linear 'fc6' reads 30 features, which is not 5 channels of 2x2 cells", "kernel_size=(kh, kw)"):
            convolutionalize(net)
        with refuses("which is not 5 channels of 3x3 cells"):
            convolutionalize(net, 3)
        with refuses("this net has none to convolutionalize"):
            convolutionalize(Sequential(Conv2d(3, 4, 3), ReLU()))
        with refuses("Linear 'fc' comes before any Flatten"):
            convolutionalize(Sequential(Linear(3, 4, name="fc")))
        with refuses("no convolution comes before Linear"):
            convolutionalize(Sequential(Flatten(), Linear(12, 4)))
