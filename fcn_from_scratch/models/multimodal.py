"""Late fusion: one network for the colours, one for the depth, and their scores joined."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.layers import Container, Sum
from fcn_from_scratch.models.head import nodes_up, score_layer, way_up
from fcn_from_scratch.models.segmenter import Segmenter
from fcn_from_scratch.models.trunk import Trunk, vgg_trunk

MODALITIES = ("color", "hha")
FUSION = {"average": 0.5, "sum": 1.0}


class Streams(Container):
    """Trunks side by side. Each reads its own channels of the image.

    channels   how many channels of x each trunk reads, from the first channel on
    forward(x) -> (list of the trunks' tops, {}), since there are no taps
    backward(dtops, {}) -> dx, the trunks' gradients stacked along the channels
    """

    def __init__(self, trunks, channels):
        super().__init__({key: layer for trunk in trunks for key, layer in trunk.children.items()})
        self.trunks = trunks
        self.channels = channels

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != sum(self.channels):
            each = " and ".join(map(str, self.channels))
            raise ValueError(f"the streams read {each} channels of the image, one after the other; got x {x.shape}")
        ends = np.cumsum(self.channels)
        parts = [x[:, end - count : end] for end, count in zip(ends, self.channels)]
        return [trunk(part)[0] for trunk, part in zip(self.trunks, parts)], {}

    def backward(self, dtops, dmaps):
        dparts = [trunk.backward(dtop, dmaps) for trunk, dtop in zip(self.trunks, dtops)]
        return get_array_module(*dparts).concatenate(dparts, axis=1)

    def backward_params(self, dtops, dmaps):
        for trunk, dtop in zip(self.trunks, dtops):
            trunk.backward_params(dtop, dmaps)


class LateFusion(Segmenter):
    """Two FCN-32s, one on the colours and one on the depth. Their coarse scores are joined before the upsampling.

    scores = scale * (score_frcolor(trunk(x[:, :3])) + score_frhha(trunk'(x[:, 3:])))
    y = crop(upscore(scores))

    fusion   "average", scale 1/2, is what the paper's public code does; "sum", scale 1, is what the paper says. The
             networks differ only in the size of their scores
    The streams share no weights. The gradient of one depends on the other only through the loss of the joined scores.
    The layers have the names of the public nyud-fcn32s-color-hha: conv1_1color ... score_frcolor, conv1_1hha ...
    score_frhha, score_fused, upscore.
    Shapes: x (N, 6, H, W), the three colours and then the three channels of HHA; y (N, num_classes, H, W).
    Source: Long et al. 2015, section 5, NYUDv2; Gupta et al. 2014 for HHA. Lesson 14.
    """

    def __init__(self, streams, num_classes, fusion="average", upsampling="fixed", *, dtype=np.float32, name=None):
        self.num_classes = checks.integer(num_classes, "num_classes", 1)
        self.scores = [
            score_layer(trunk.layers, num_classes, dtype, f"score_fr{modality}")
            for trunk, modality in zip(streams.trunks, MODALITIES)
        ]
        self.fuse = Sum(FUSION[checks.choice(fusion, "fusion", tuple(FUSION))], name="score_fused")
        paths = [[*trunk.layers, score] for trunk, score in zip(streams.trunks, self.scores)]
        self.coarse_path = paths[0]  # for geometry; the other stream has the same
        field = geometry.joint(geometry.receptive_field(path) for path in paths)
        self.upscore, self.crop = way_up(field, num_classes, upsampling, dtype, "upscore")
        head = [*self.scores, self.fuse, self.upscore, self.crop]
        super().__init__(streams, {layer.name: layer for layer in head}, name)

    def forward(self, x):
        tops, _ = self.trunk(x)
        scores = self.fuse(*(score(top) for score, top in zip(self.scores, tops)))
        return self.crop(self.upscore(scores), size=x.shape[2:])

    def _backward_heads(self, dscores):
        dscores = self.fuse.backward(self.upscore.backward(self.crop.backward(dscores)))
        return [score.backward(dy) for score, dy in zip(self.scores, dscores)], {}

    def graph(self):
        """Which layer reads which maps, for geometry."""
        streams = [geometry.along([*trunk.layers, score]) for trunk, score in zip(self.trunk.trunks, self.scores)]
        fused = geometry.Node(self.fuse.name, self.fuse, tuple(stream[-1].name for stream in streams))
        return [*(node for stream in streams for node in stream), fused, *nodes_up(self.upscore, self.crop, fused.name)]


def late_fusion(config, num_classes, rng, dtype=np.float32, fusion="average", upsampling="fixed", name=None):
    """LateFusion of two VGG-like trunks. config.in_channels is a pair: the channels that each trunk reads."""
    channels = checks.pair(config.in_channels, "in_channels", 1)
    trunks = []
    for count, modality in zip(channels, MODALITIES):
        layers = vgg_trunk(config._replace(in_channels=count), (), rng, dtype).layers
        for layer in layers:
            layer.name += modality
        trunks.append(Trunk(*layers))
    return LateFusion(Streams(trunks, channels), num_classes, fusion, upsampling, dtype=dtype, name=name)
