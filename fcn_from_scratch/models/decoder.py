"""Another way back to the image's size: a decoder that mirrors the trunk and puts every maximum where it came from."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import Conv2d, ConvTranspose2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU, Sequential
from fcn_from_scratch.layers.conv import he_normal
from fcn_from_scratch.models.head import output_channels, score_layer
from fcn_from_scratch.models.segmenter import Segmenter
from fcn_from_scratch.ops import bilinear_kernel


class UnpoolingDecoder(Segmenter):
    """The trunk, then its mirror image in reverse order: every pool is unpooled, every convolution transposed.

    top = trunk(x)                                       the pools keep their indices
    y = score(... deconv5_1(unpool5(deconv_fc6(top)))    no skips, no crop

    Each step restores the size of the map that its counterpart read, so the scores have the image's size whatever was
    padded or rounded. An unpooling restores the size before its pool. A transposed convolution of stride 1 restores the
    size before the convolution with the same kernel and padding. A coarse value goes to the place of the maximum, and
    the transposed convolutions fill in the zeros in between.

    Layers are named after those that they mirror: deconv_fc6, unpool5, deconv5_1, ... unpool1, deconv1_1, score. fc7 is
    1x1 and has as many output channels as input channels; it has no counterpart. The counterpart of conv1_1 keeps its
    number of channels. There is no ReLU on the way up, as in SegNet-Basic: at lesson size, without batch normalisation,
    the decoder learns much faster this way. The score layer starts at zero, so that the first loss is log(num_classes).

    trunk   a models.trunk.Trunk of stride-1 convolutions, ReLU, dropout, and max-pools whose windows lie side by side
    Shapes: x (N, 3, H, W) of any size; y (N, num_classes, H, W).
    Backward: the pools' indices cannot be differentiated. The gradient goes back only along the chain of layers.
    Raises: ValueError for a trunk of other layers.
    Source: Noh, Hong, Han 2015, Learning deconvolution network for semantic segmentation; Badrinarayanan, Kendall,
    Cipolla 2017, SegNet. Both normalise over the batch after each convolution, which this network does not.
    """

    def __init__(self, trunk, num_classes, *, rng=None, dtype=np.float32, name=None):
        self.num_classes = checks.integer(num_classes, "num_classes", 1)
        mirror = _mirror(trunk, rng, dtype)
        self.decoder = Sequential(*mirror, score_layer(mirror, num_classes, dtype, "score"))
        super().__init__(trunk, self.decoder.children, name)

    @property
    def coarse_path(self):
        """The layers from the image to the coarsest map, the trunk's top, for geometry."""
        return self.trunk.layers

    def forward(self, x):
        top, _ = self.trunk(x)
        return self.decoder(top)

    def _backward_heads(self, dscores):
        return self.decoder.backward(dscores), {}

    def graph(self):
        """Which layer reads which maps, for geometry. An unpooling also reads its pool's input and output."""
        found = geometry.along([*self.trunk.layers, *self.decoder.layers])
        maps = {id(node.layer): (*node.sources, node.name) for node in found}
        pooled = {node.name: maps[id(node.layer.pool)] for node in found if isinstance(node.layer, MaxUnpool2d)}
        return [node._replace(sources=node.sources + pooled.get(node.name, ())) for node in found]


def _mirror(trunk, rng, dtype):
    """The counterparts of the trunk's layers, from last to first."""
    first, channels = trunk.layers[0], output_channels(trunk.layers)
    mirror, sparsity = [], 1
    for layer in reversed(trunk.layers):
        if isinstance(layer, (ReLU, Dropout)):
            continue
        _check_has_counterpart(layer)
        if isinstance(layer, MaxPool2d):
            mirror.append(MaxUnpool2d(layer, name=f"un{layer.name}"))
            sparsity = np.prod(layer.kernel_size)
        elif layer.kernel_size != (1, 1) or layer.in_channels != layer.out_channels:
            out = channels if layer is first else layer.in_channels
            name = f"de{layer.name}" if layer.name.startswith("conv") else f"deconv_{layer.name}"
            knobs = (layer.kernel_size, layer.stride, layer.padding)
            mirror.append(ConvTranspose2d(channels, out, *knobs, rng=rng, dtype=dtype, name=name))
            _start_smooth(mirror[-1], sparsity, rng)
            channels, sparsity = out, 1
    return mirror


def _start_smooth(layer, sparsity, rng):
    """Start the weight as a random mix of the channels, spread by the bilinear kernel.

    The mix keeps the size of the activations. In an unpooled map one place of `sparsity` is not zero, so the kernel is
    scaled to the sum `sparsity` and fills in the zeros. From independent random taps a decoder of lesson size learns
    next to nothing in hundreds of steps: the places of the maxima make a noise that grows from stage to stage.
    """
    weight, kernel = layer.params["weight"], bilinear_kernel(layer.kernel_size[0])
    mix = he_normal(weight.shape[:2], 2 * layer.in_channels, rng, weight.dtype)  # no ReLU follows, hence 2 *
    weight[...] = mix[:, :, None, None] * (kernel * (sparsity / kernel.sum())).astype(weight.dtype)


def _check_has_counterpart(layer):
    plain = isinstance(layer, Conv2d) and (*layer.stride, *layer.dilation, layer.groups) == (1, 1, 1, 1, 1)
    tiled = isinstance(layer, MaxPool2d) and layer.stride == layer.kernel_size and layer.dilation == (1, 1)
    if not (plain or tiled):
        raise ValueError(
            f"{layer.label} has no counterpart in a decoder, which undoes convolutions of stride 1, without dilation "
            "and groups, and max-pools whose windows lie side by side"
        )
