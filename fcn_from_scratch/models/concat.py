"""Skips that stack features, as in U-Net. The paper's skips add scores."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import Concat, Container, Conv2d, Crop, ReLU, Sequential, upsampler
from fcn_from_scratch.models.head import UPSAMPLING, nodes_up, output_channels, path_to, score_layer, way_up
from fcn_from_scratch.models.segmenter import Segmenter


class ConcatFCN(Segmenter):
    """A trunk whose top is made finer step by step. Each step stacks a pool's features on it and mixes them.

    features = trunk(x)
    for each skip: features = relu(conv(concat(up(features), pool)))      each time twice as fine; see Merge
    y = crop(upscore(score(features)))                                    at the image's size

    FCN-8s scores each map by itself and adds the scores, which is linear. Here a 3x3 convolution and a ReLU read both
    maps together. So a fine feature can count in some surroundings and not in others. The price is the work and the
    parameters of the 3x3 convolutions.

    The arguments are those of FCN. The score layer starts at zero, so that the first loss is log(num_classes).
    Layers: up_pool4, crop_pool4, concat_pool4, merge_pool4, relu_pool4, the same for pool3, then score, upscore8, crop.
    Shapes: x (N, 3, H, W) of any size; y (N, num_classes, H, W).
    Source: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional networks for biomedical image segmentation".
    Lesson 12.
    """

    def __init__(
        self,
        trunk,
        num_classes,
        skips=(),
        upsampling="fixed",
        *,
        rng=None,
        dtype=np.float32,
        name=None,
    ):
        self.num_classes = checks.integer(num_classes, "num_classes", 1)
        method, _ = UPSAMPLING[checks.choice(upsampling, "upsampling", UPSAMPLING)]
        self.merges, path = [], trunk.layers
        field = geometry.receptive_field(path)
        for pool in skips:
            merge = Merge(pool, trunk, output_channels(path), field, method, rng=rng, dtype=dtype)
            self.merges.append(merge)
            path, field = [merge.conv], merge.field
        self.score = score_layer(path, num_classes, dtype, "score")
        self.upscore, self.crop = way_up(field, num_classes, upsampling, dtype, f"upscore{field.stride}")
        steps = {key: layer for merge in self.merges for key, layer in merge.children.items()}
        ways = {layer.name: layer for layer in (self.score, self.upscore, self.crop)}
        super().__init__(trunk, {**steps, **ways}, name)

    @property
    def coarse_path(self):
        """The layers from the image to the coarsest map, the trunk's top, for geometry."""
        return self.trunk.layers

    def forward(self, x):
        features, maps = self.trunk(x)
        for merge in self.merges:
            features = merge(features, maps[merge.pool])
        return self.crop(self.upscore(self.score(features)), size=x.shape[2:])

    def _backward_heads(self, dscores):
        dfeatures = self.score.backward(self.upscore.backward(self.crop.backward(dscores)))
        dmaps = {}
        for merge in reversed(self.merges):
            dfeatures, dmaps[merge.pool] = merge.backward(dfeatures)
        return dfeatures, dmaps

    def graph(self):
        """Which layer reads which maps, for geometry."""
        found = geometry.along(self.trunk)
        for merge in self.merges:
            found += merge.nodes(found[-1].name)
        score = geometry.Node(self.score.name, self.score, (found[-1].name,))
        return [*found, score, *nodes_up(self.upscore, self.crop, score.name)]


class Merge(Container):
    """Make features twice as fine, stack a pool's features on them, and mix both by a 3x3 convolution with ReLU.

    y = relu(conv(concat(up(features), skip)))      after one of the two maps is cropped to the other

    The convolution has as many output channels as the pool, as in U-Net: each level on the way up is as wide as the
    level of the same size on the way down.
    pool       the name of the skip, a pool that the trunk taps
    channels   the channels of the coarse features, and `coarse` their grid, a geometry.ReceptiveField
    method     the upsampling, a method of layers.upsampler
    field      the grid of y, for the next step
    forward(features, skip) -> y; backward(dy) -> (dfeatures, dskip)
    Shapes: features (N, channels, H, W), skip (N, C, H', W'); y (N, C, ...) has the size of the map that starts later.
    """

    def __init__(self, pool, trunk, channels, coarse, method, *, rng=None, dtype=np.float32):
        self.pool, path = pool, path_to(pool, trunk)
        self.up = upsampler(method, channels, 2, padding=0, dtype=dtype, name=f"up_{pool}")
        coarse, fine = geometry.receptive_field(self.up, coarse), geometry.receptive_field(path)
        offset = checks.pair(geometry.crop_offset(fine, coarse), "offset", None)
        self.crops_skip = max(offset) > 0  # otherwise the features start earlier, or together with the skip
        self.crop = Crop(tuple(o if self.crops_skip else -o for o in offset), name=f"crop_{pool}")
        self.concat = Concat(name=f"concat_{pool}")
        width = output_channels(path)
        self.conv = Conv2d(channels + width, width, 3, padding=1, rng=rng, dtype=dtype, name=f"merge_{pool}")
        self.mix = Sequential(self.conv, ReLU(name=f"relu_{pool}"))
        self.field = geometry.receptive_field(self.conv, geometry.overlap(fine, coarse))
        layers = [self.up, self.crop, self.concat, *self.mix.layers]
        super().__init__({layer.name: layer for layer in layers}, name=f"step_{pool}")

    def forward(self, features, skip):
        features = self.up(features)
        if self.crops_skip:
            skip = self.crop(skip, size=features.shape[2:])
        else:
            features = self.crop(features, size=skip.shape[2:])
        return self.mix(self.concat(features, skip))

    def __call__(self, features, skip):
        return self.forward(features, skip)

    def backward(self, dy):
        """Take the gradient of y back to both maps."""
        dfeatures, dskip = self.concat.backward(self.mix.backward(dy))
        if self.crops_skip:
            dskip = self.crop.backward(dskip)
        else:
            dfeatures = self.crop.backward(dfeatures)
        return self.up.backward(dfeatures), dskip

    def nodes(self, features):
        """Which layer reads which maps, for geometry. `features` is the name of the coarse map."""
        up, crop, concat = self.up.name, self.crop.name, self.concat.name
        cut, whole = (self.pool, up) if self.crops_skip else (up, self.pool)
        stacked = (up, crop) if self.crops_skip else (crop, self.pool)
        return [
            geometry.Node(up, self.up, (features,)),
            geometry.Node(crop, self.crop, (cut, whole)),
            geometry.Node(concat, self.concat, stacked),
            *geometry.along(self.mix.layers, concat),
        ]
