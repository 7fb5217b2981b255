"""The other way back to the image: a decoder that mirrors the trunk, and puts every maximum where it came from."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import Conv2d, ConvTranspose2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU, Sequential
from fcn_from_scratch.layers.conv import he_normal
from fcn_from_scratch.models.head import output_channels, score_layer
from fcn_from_scratch.models.segmenter import Segmenter
from fcn_from_scratch.ops import bilinear_kernel


class UnpoolingDecoder(Segmenter):
    """The trunk, then its mirror image: every pool unpooled, every convolution transposed, last first.

    top = trunk(x)                                       the pools keep their indices
    y = score(... deconv5_1(unpool5(deconv_fc6(top)))    no skips, no crop

    Each step undoes the size its counterpart made, so that the scores have the image's size whatever was padded or
    rounded: an unpooling gives the size of the map its pool had read, a transposed convolution of stride 1 that of the
    map the convolution of its kernel and padding had read. A coarse value goes to the place of the maximum, and the
    transposed convolutions fill in the zeros between.
    Layers are called after those they mirror: deconv_fc6, unpool5, deconv5_1, ... unpool1, deconv1_1, score. (fc7,
    1x1 with as many channels before as after, has no counterpart; conv1_1's gives as many channels as it gets.) No
    ReLU stands on the way up, as in SegNet-Basic: at lesson size, without batch normalisation, the decoder learns
    much faster so. The score layer starts at zero, so that the first loss is log(num_classes).

    trunk   a models.trunk.Trunk of stride-1 convolutions, ReLU, dropout, and max-pools whose windows lie side by side
    Shapes: x (N, 3, H, W) of any size; y (N, num_classes, H, W).
    Backward: the indices are no function that could be differentiated; the gradient goes back along the chain alone.
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
        """Which layer reads which maps, for geometry. An unpooling also looks at what its pool had read and made."""
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
    """Start as a random mix of the channels, of the size of its input, that is spread by the bilinear kernel.

    Of an unpooled map one place in `sparsity` is not zero: so large is the kernel's sum, and what lies between is
    filled in. From independent random taps a decoder of lesson size learns next to nothing in hundreds of steps:
    where the maxima stood makes a noise that grows from stage to stage.
    """
    weight, kernel = layer.params["weight"], bilinear_kernel(layer.kernel_size[0])
    mix = he_normal(weight.shape[:2], 2 * layer.in_channels, rng, weight.dtype)  # twice: He et al. count on a ReLU
    weight[...] = mix[:, :, None, None] * (kernel * (sparsity / kernel.sum())).astype(weight.dtype)


def _check_has_counterpart(layer):
    plain = isinstance(layer, Conv2d) and (*layer.stride, *layer.dilation, layer.groups) == (1, 1, 1, 1, 1)
    tiled = isinstance(layer, MaxPool2d) and layer.stride == layer.kernel_size and layer.dilation == (1, 1)
    if not (plain or tiled):
        raise ValueError(
            f"{layer.label} has no counterpart in a decoder, which undoes convolutions of stride 1, without dilation "
            "and groups, and max-pools whose windows lie side by side"
        )
