"""From a trunk's maps to scores at the image's size: score layers, skips that refine the scores, and upsampling."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import Branches, Container, Conv2d, ConvTranspose2d, Crop, SkipFusion, upsampler

# option: (the method of layers.upsampler for the twofold upsamplings, the method for the last upsampling)
UPSAMPLING = {
    "fixed": ("bilinear", "bilinear"),
    "learned": ("learned", "bilinear"),
    "all_learned": ("learned", "learned"),
    "nearest": ("nearest", "nearest"),
}


class Head(Container):
    """Score the trunk's top, refine the scores with the skips' scores, and bring them to the image's size.

    scores = score_fr(top)
    for each skip: scores = upscore(scores) + crop(score_pool(pool))      each time twice as fine
    y = crop(upscore(scores))

    The arguments are those of FCN. `suffix` is added to the names of the layers, for trunks with several heads.
    forward(top, maps, size) -> y, with the trunk's tapped `maps` and the image's `size` (H, W)
    backward(dy) -> (dtop, dmaps)
    """

    def __init__(
        self,
        trunk,
        num_classes,
        skips=(),
        skip_scales=None,
        upsampling="fixed",
        *,
        suffix="",
        dtype=np.float32,
        name=None,
    ):
        method, _ = UPSAMPLING[checks.choice(upsampling, "upsampling", UPSAMPLING)]
        self.num_classes = checks.integer(num_classes, "num_classes", 1)
        self.suffix = suffix
        self.score_fr = score_layer(trunk.layers, num_classes, dtype, "score_fr" + suffix)

        field = geometry.receptive_field([*trunk.layers, self.score_fr])
        self.skips = []
        for number, pool in enumerate(skips):
            twofold = f"upscore_{skips[number - 1]}" if number else "upscore2"
            upscore = upsampler(method, num_classes, 2, padding=0, dtype=dtype, name=twofold + suffix)
            coarse = geometry.receptive_field(upscore, field)
            path = path_to(pool, trunk)
            fine = geometry.receptive_field(path)
            scale = 1.0 if skip_scales is None else skip_scales[number]
            offset = geometry.crop_offset(fine, coarse)
            score = f"score_{pool}{suffix}"
            fuse = SkipFusion(output_channels(path), num_classes, offset, scale, dtype=dtype, name=score)
            self.skips.append((pool, upscore, fuse))
            field = geometry.overlap(fine, coarse)
        # with a skip from pool1 the last stride is 2 as well, and upscore2 is the first upsampling
        last = f"upscore{field.stride}" if skips and field.stride != 2 else "upscore"
        self.upscore, self.crop = way_up(field, num_classes, upsampling, dtype, last, suffix)

        twofold = {layer.name: layer for _, upscore, fuse in self.skips for layer in (upscore, fuse)}
        children = {self.score_fr.name: self.score_fr, **twofold, self.upscore.name: self.upscore}
        super().__init__({**children, self.crop.name: self.crop}, name)

    def forward(self, top, maps, size):
        scores = self.score_fr(top)
        for pool, upscore, fuse in self.skips:
            scores = fuse(upscore(scores), maps[pool])
        return self.crop(self.upscore(scores), size=size)

    def __call__(self, top, maps, size):
        return self.forward(top, maps, size)

    def backward(self, dscores):
        """Take the gradient of the image's scores back to the trunk's top and to each tapped pool."""
        dscores = self.upscore.backward(self.crop.backward(dscores))
        dmaps = {}
        for pool, upscore, fuse in reversed(self.skips):
            dscores, dmaps[pool] = fuse.backward(dscores)
            dscores = upscore.backward(dscores)
        return self.score_fr.backward(dscores), dmaps

    def nodes(self, top):
        """Which layer reads which maps, for geometry. `top` is the name of the trunk's last map."""
        found = [geometry.Node(self.score_fr.name, self.score_fr, (top,))]
        for pool, upscore, fuse in self.skips:
            found.append(geometry.Node(upscore.name, upscore, (found[-1].name,)))
            found.append(geometry.Node(fuse.name, fuse, (upscore.name, pool)))
        return [*found, *nodes_up(self.upscore, self.crop, found[-1].name)]


def score_layer(path, num_classes, dtype, name):
    """A 1x1 convolution from a chain's output to class scores.

    It starts at zero, so that the first loss is log(num_classes).
    """
    layer = Conv2d(output_channels(path), num_classes, 1, dtype=dtype, name=name)
    for array in layer.params.values():
        array[...] = 0
    return layer


def way_up(field, num_classes, upsampling, dtype, name, suffix=""):
    """The layers that bring scores on the grid `field` to the image's pixels: one upsampling and one crop.

    The kernel has size 2s, for the stride s, where the first score lies between two pixels. Where it lies on a pixel,
    as AlexNet's and GoogLeNet's do, the size is 2s - 1. The other size would put the scores half a pixel off. Nearest
    neighbour has no such choice: a block of even size cannot lie around a pixel, and crop_offset refuses it.
    """
    stride = checks.integer(field.stride, "the stride of the scores", 1)
    on_a_pixel = all(axis.start.denominator == 1 for axis in field.axes)
    kernel_size, (_, method) = 2 * stride - on_a_pixel, UPSAMPLING[upsampling]
    upscore = upsampler(
        method, num_classes, stride, kernel_size=kernel_size, padding=0, dtype=dtype, name=name + suffix
    )
    offset = geometry.crop_offset(geometry.receptive_field(upscore, field), geometry.IMAGE)
    checks.scores_cover_the_image(offset)
    return upscore, Crop(offset, name="crop" + suffix)


def nodes_up(upscore, crop, scores):
    """The nodes of way_up's two layers, for geometry. `scores` is the name of the map that they read."""
    up = geometry.Node(upscore.name, upscore, (scores,))
    return [up, geometry.Node(crop.name, crop, (up.name, "image"))]


def path_to(pool, trunk):
    """The layers of a trunk from the image to a pool that it taps. Raises: ValueError if it does not tap the pool."""
    if pool not in trunk.taps:
        raise ValueError(f"the trunk taps {', '.join(trunk.taps) or 'nothing'}; got the skip {pool!r}")
    names = list(trunk.children)
    return trunk.layers[: names.index(pool) + 1]


def output_channels(path):
    """The number of channels of a chain's output."""
    making = (Conv2d, ConvTranspose2d, Branches)
    return next(layer.out_channels for layer in reversed(path) if isinstance(layer, making))
