"""Convolutionalization: turn a classifier of one crop into a net for images of any size."""

from math import isqrt

from fcn_from_scratch import checks
from fcn_from_scratch.dense.chain import chain, rebuild, share_weights
from fcn_from_scratch.layers import Conv2d, Flatten, Linear


def convolutionalize(classifier, kernel_size=None):
    """Turn each fully connected layer into a convolution whose kernel covers the layer's whole input.

    The first Linear after Flatten, with in_features = C * kh * kw, becomes a kh x kw convolution of C channels. Every
    later Linear becomes a 1x1 convolution:  weight[f, c, a, b] = linear_weight[f, c*kh*kw + a*kw + b].

    classifier   a Sequential (or list) of map layers, then Flatten, then Linear layers and the layers between them
    kernel_size  kh, kw of the first convolution. None: a square, k*k = in_features / C. A crop that is not square
                 needs it
    Returns: a Sequential with the classifier's names. Its parameters are the classifier's own arrays; fully connected
    weights are reshaped views of them. When one net learns, so does the other, until either is moved or converted.
    Identity: for an unpadded trunk each output equals the classifier on the crop below it, to 1e-10
    (tests/dense/test_classifier.py). A padded trunk differs: it sees zeros around a crop, but in the large image it
    sees the pixels there.
    Raises: ValueError when no Linear follows a Flatten, or when the sizes do not match.
    Source: Long et al. 2015, section 3.1. Lesson 5.
    """
    layers, channels, flat, converted = [], None, False, False
    for name, layer in chain(classifier).items():
        if isinstance(layer, Flatten):
            flat = True
            continue
        if isinstance(layer, Linear):
            if not flat:
                raise ValueError(f"{layer.label} comes before any Flatten, so the map that it reads is not known")
            size = (1, 1) if converted else _kernel_size(layer, channels, kernel_size)
            layer, converted = _as_convolution(layer, size, name), True
        else:
            layer = share_weights(layer, name, bound=False)
        channels = getattr(layer, "out_channels", channels)
        layers.append(layer)
    if not converted:
        raise ValueError("a classifier ends in Flatten and Linear layers; this net has none to convolutionalize")
    return rebuild(classifier, layers)


def _kernel_size(linear, channels, kernel_size):
    """The size, in cells, of the map that the first Linear reads."""
    if channels is None:
        raise ValueError(f"no convolution comes before {linear.label}: the number of channels of its map is not known")
    cells = linear.in_features // channels
    size = (isqrt(cells),) * 2 if kernel_size is None else checks.pair(kernel_size, "kernel_size", 1)
    if channels * size[0] * size[1] != linear.in_features:
        hint = "" if kernel_size else ". If the map is not square, pass kernel_size=(kh, kw)"
        raise ValueError(
            f"{linear.label} reads {linear.in_features} features, which is not {channels} channels of "
            f"{size[0]}x{size[1]} cells{hint}"
        )
    return size


def _as_convolution(linear, size, name):
    """A convolution whose parameters and gradients are views of the Linear layer's."""
    channels = linear.in_features // (size[0] * size[1])
    bias, dtype = "bias" in linear.params, linear.params["weight"].dtype
    conv = Conv2d(channels, linear.out_features, size, bias=bias, dtype=dtype, name=name)
    shape = conv.params["weight"].shape
    for ours, theirs in ((conv.params, linear.params), (conv.grads, linear.grads)):
        ours.update(theirs, weight=theirs["weight"].reshape(shape))
    return conv.train(linear.training)
