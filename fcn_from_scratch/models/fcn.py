"""The paper's networks: a trunk, and a head that turns the trunk's maps into scores at the image's size."""

import numpy as np

from fcn_from_scratch import geometry
from fcn_from_scratch.models.head import Head
from fcn_from_scratch.models.segmenter import Segmenter


class FCN(Segmenter):
    """FCN-32s, FCN-16s and FCN-8s in one class: they differ in their skips. Other trunks than VGG's have none.

    scores = score_fr(trunk(x))
    for each skip: scores = upscore(scores) + crop(score_pool(pool))      each time twice as fine
    y = crop(upscore(scores)), at the image's size

    trunk        a models.trunk.Trunk that taps the pools named in `skips`
    skips        pools from coarse to fine: () is 32s, ("pool4",) 16s, ("pool4", "pool3") 8s
    skip_scales  a factor for each skip's features, by default 1; the at-once networks have 0.01 and 0.0001
    upsampling   "fixed": bilinear, without parameters, as in all of the paper's public networks
                 "learned": the twofold upsamplings are transposed convolutions that start bilinear; the last
                 upsampling stays fixed, as the paper describes
                 "all_learned": the last upsampling is learned too
                 "nearest": each score fills its whole block. Blocks have an even size and fit only scores that lie
                 between pixels. Those of all VGG-shaped trunks do; AlexNet's and GoogLeNet's lie on pixels and are
                 refused
    Layers have the paper's names: score_fr, upscore2, score_pool4, upscore_pool4, score_pool3, upscore8. The score
    layers start at zero, so that the first loss is log(num_classes). The layers' geometry gives the crop offsets.
    Shapes: x (N, 3, H, W) of any size; y (N, num_classes, H, W).
    Source: Long et al. 2015, sections 3.3 and 4.2. Lessons 11 and 12.
    """

    def __init__(
        self,
        trunk,
        num_classes,
        skips=(),
        skip_scales=None,
        upsampling="fixed",
        *,
        dtype=np.float32,
        name=None,
    ):
        self.head = Head(trunk, num_classes, skips, skip_scales, upsampling, dtype=dtype)
        super().__init__(trunk, self.head.children, name)
        self.num_classes, self.skips = self.head.num_classes, self.head.skips
        self.score_fr, self.upscore, self.crop = self.head.score_fr, self.head.upscore, self.head.crop

    @property
    def coarse_path(self):
        """The layers from the image to the coarsest scores, for geometry."""
        return [*self.trunk.layers, self.score_fr]

    def forward(self, x):
        top, maps = self.trunk(x)
        return self.head(top, maps, x.shape[2:])

    def on_window(self, window, size):
        """The scores of a part of a picture, of `size` (H, W), which the network sees with the pixels around it.

        `window` has as many more pixels on each side as the first layer's padding. So forward(x) is on_window of x
        with a border of zeros. dense.TiledPredictor fills the border with the picture. In eval mode only.
        """
        top, maps = self.trunk.on_window(window)
        return self.head(top, maps, size)

    def _backward_heads(self, dscores):
        return self.head.backward(dscores)

    def graph(self):
        """Which layer reads which maps, for geometry."""
        trunk = geometry.along(self.trunk)
        return [*trunk, *self.head.nodes(trunk[-1].name)]
