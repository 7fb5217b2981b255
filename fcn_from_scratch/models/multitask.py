"""Two heads on one trunk. One says what a pixel shows (semantic classes), the other how it lies (geometric classes)."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.models import vgg
from fcn_from_scratch.models.head import Head
from fcn_from_scratch.models.segmenter import Segmenter
from fcn_from_scratch.models.trunk import vgg_trunk

SUFFIXES = ("_sem", "_geo")
GEOMETRIC_CLASSES = 3  # of SIFT Flow: sky, horizontal, vertical


class TwoHeads(Segmenter):
    """One trunk, and a head for each of two tasks: score layers, skips and upsampling as in an FCN.

    semantic, geometric = heads(trunk(x))

    The trunk is computed once and learns from both tasks. Each head's backward gives a gradient for the top and for the
    tapped pools, and the trunk gets their sum.
    num_classes   a pair, (33, 3) for SIFT Flow; a single number is the number of semantic classes
    The other arguments are those of FCN. The heads' layers are called score_fr_sem, upscore2_sem, score_pool4_sem, ...
    upscore8_sem and score_fr_geo, ... upscore8_geo, as in the paper's public siftflow-fcn32s, 16s and 8s.
    Shapes: x (N, 3, H, W); y a tuple of two, (N, num_classes[0], H, W) and (N, num_classes[1], H, W). backward takes
    such a tuple.
    Identity: the trunk's gradient is the sum of the gradients that each head alone gives
    (tests/models/test_multitask.py).
    Source: Long et al. 2015, section 5, SIFT Flow. Lesson 14.
    """

    def __init__(
        self, trunk, num_classes, skips=(), skip_scales=None, upsampling="fixed", *, dtype=np.float32, name=None
    ):
        self.num_classes = _pair_of_classes(num_classes)
        self.heads = [
            Head(trunk, number, skips, skip_scales, upsampling, suffix=suffix, dtype=dtype)
            for number, suffix in zip(self.num_classes, SUFFIXES)
        ]
        semantic, geometric = self.heads
        super().__init__(trunk, {**semantic.children, **geometric.children}, name)

    @property
    def coarse_path(self):
        """The layers from the image to the coarsest semantic scores, for geometry."""
        return [*self.trunk.layers, self.heads[0].score_fr]

    def forward(self, x):
        top, maps = self.trunk(x)
        return tuple(head(top, maps, x.shape[2:]) for head in self.heads)

    def _backward_heads(self, dscores):
        """Both heads read the top and the tapped pools, so the gradient of each is the sum of the heads' gradients."""
        if not isinstance(dscores, (tuple, list)) or len(dscores) != len(self.heads):
            raise ValueError(f"{self.label} has two heads: backward takes two gradients, (semantic, geometric)")
        (dtop, dmaps), (dtop_too, dmaps_too) = (head.backward(dy) for head, dy in zip(self.heads, dscores))
        return dtop + dtop_too, {pool: dmaps[pool] + dmaps_too[pool] for pool in dmaps}

    def graph(self):
        """Which layer reads which maps, for geometry."""
        trunk = geometry.along(self.trunk)
        return [*trunk, *(node for head in self.heads for node in head.nodes(trunk[-1].name))]


def two_heads(config, stride, num_classes, rng, dtype=np.float32, upsampling="fixed", name=None):
    """The network with the output stride "32s", "16s" or "8s" on a VGG-like trunk."""
    skips = vgg.SKIPS[stride]
    trunk = vgg_trunk(config, skips, rng, dtype)
    return TwoHeads(trunk, num_classes, skips, upsampling=upsampling, dtype=dtype, name=name)


def _pair_of_classes(num_classes):
    single = not isinstance(num_classes, (tuple, list))
    return checks.pair((num_classes, GEOMETRIC_CLASSES) if single else num_classes, "num_classes", 1)
