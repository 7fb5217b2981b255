"""The paper's networks: a trunk, a score layer, skips that refine the scores, and the way back up to the image."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import BilinearUpsample, Container, Conv2d, ConvTranspose2d, Crop, SkipFusion
from fcn_from_scratch.ops import bilinear_kernel

UPSAMPLING = ("fixed", "learned", "all_learned")


class FCN(Container):
    """FCN-32s, 16s, 8s: one class, with as many skips as it is given.

    scores = score_fr(trunk(x))
    for each skip: scores = upscore(scores) + crop(score_pool(pool))      each time twice as fine
    y = crop(upscore(scores)), at the image's size

    trunk        a models.trunk.Trunk that taps the pools named in `skips`
    skips        pools from coarse to fine: () is 32s, ("pool4",) 16s, ("pool4", "pool3") 8s
    skip_scales  a factor for each skip's features (the at-once networks' 0.01 and 0.0001), default 1
    upsampling   "fixed": bilinear and without parameters, as in all of the paper's public networks; "learned": the
                 twofold upsamplings are transposed convolutions that start bilinear and the last one stays fixed,
                 as the paper describes; "all_learned": the last one too
    Layers have the paper's names: score_fr, upscore2, score_pool4, upscore_pool4, score_pool3, upscore8. The score
    layers start at zero, so that the first loss is log(num_classes). Crop offsets come from the layers' geometry.
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
        checks.choice(upsampling, "upsampling", UPSAMPLING)
        self.trunk = trunk
        self.trunk_frozen = False
        self.num_classes = checks.integer(num_classes, "num_classes", 1)
        self.score_fr = Conv2d(_channels(trunk.layers), num_classes, 1, dtype=dtype, name="score_fr")
        for array in self.score_fr.params.values():
            array[...] = 0

        field = geometry.receptive_field(self.coarse_path)
        self.skips = []
        for number, pool in enumerate(skips):
            upscore = self._upsampling(
                4, 2, upsampling != "fixed", dtype, f"upscore_{skips[number - 1]}" if number else "upscore2"
            )
            coarse = geometry.receptive_field(upscore, field)
            path = self._path_to(pool)
            fine = geometry.receptive_field(path)
            scale = 1.0 if skip_scales is None else skip_scales[number]
            offset = geometry.crop_offset(fine, coarse)
            fuse = SkipFusion(_channels(path), num_classes, offset, scale, dtype=dtype, name=f"score_{pool}")
            self.skips.append((pool, upscore, fuse))
            field = geometry.overlap(fine, coarse)
        stride = checks.integer(field.stride, "the stride of the scores", 1)
        self.upscore = self._upsampling(
            2 * stride, stride, upsampling == "all_learned", dtype, f"upscore{stride}" if skips else "upscore"
        )
        offset = geometry.crop_offset(geometry.receptive_field(self.upscore, field), geometry.IMAGE)
        checks.scores_cover_the_image(offset)
        self.crop = Crop(offset, name="crop")

        children = dict(trunk.children, score_fr=self.score_fr)
        for _, upscore, fuse in self.skips:
            children |= {upscore.name: upscore, fuse.name: fuse}
        super().__init__({**children, self.upscore.name: self.upscore, "crop": self.crop}, name)

    @property
    def coarse_path(self):
        """The layers from the image to the coarsest scores, for geometry."""
        return [*self.trunk.layers, self.score_fr]

    def forward(self, x):
        top, maps = self.trunk(x)
        scores = self.score_fr(top)
        for pool, upscore, fuse in self.skips:
            scores = fuse(upscore(scores), maps[pool])
        return self.crop(self.upscore(scores), size=x.shape[2:])

    def backward(self, dscores):
        """Fill `grads` for the upstream gradient (N, num_classes, H, W); returns the image's gradient, or None when
        the trunk is frozen."""
        dtop, dmaps = self._backward_heads(dscores)
        return None if self.trunk_frozen else self.trunk.backward(dtop, dmaps)

    def backward_params(self, dscores):
        dtop, dmaps = self._backward_heads(dscores)
        if not self.trunk_frozen:
            self.trunk.backward_params(dtop, dmaps)

    def _backward_heads(self, dscores):
        """From the image's scores back to the trunk's top and to each tapped pool."""
        dscores = self.upscore.backward(self.crop.backward(dscores))
        dmaps = {}
        for pool, upscore, fuse in reversed(self.skips):
            dscores, dmaps[pool] = fuse.backward(dscores)
            dscores = upscore.backward(dscores)
        return self.score_fr.backward(dscores), dmaps

    def freeze_trunk(self, frozen=True):
        """Let only the score layers learn, as in the paper's FCN-32s-fixed; the trunk then runs in eval mode.

        Returns the model.
        """
        self.trunk_frozen = frozen
        return self.train(self.training)

    def frozen_params(self):
        """The names of the parameters that must stay as they are."""
        return set(self.trunk.params) if self.trunk_frozen else set()

    def train(self, mode=True):
        super().train(mode)
        if self.trunk_frozen:
            self.trunk.train(False)
        return self

    def load_state_dict(self, state, strict=True):
        """As Layer.load_state_dict; a file may also hold the kernels of the fixed upsampling layers, as the public
        ones do. They are compared with the bilinear kernel and left out.

        Raises: ValueError also when such a kernel is not bilinear: it was learned, and is not thrown away in silence.
        """
        fixed = {f"{n}.weight": c for n, c in self.children.items() if isinstance(c, BilinearUpsample)}
        for key in fixed.keys() & state.keys():
            _check_bilinear(key, state[key], fixed[key].kernel_size[0])
        super().load_state_dict({key: value for key, value in state.items() if key not in fixed}, strict)

    def _upsampling(self, kernel_size, stride, learned, dtype, name):
        if not learned:
            return BilinearUpsample(kernel_size, stride, name=name)
        channels = self.num_classes
        layer = ConvTranspose2d(channels, channels, kernel_size, stride, bias=False, dtype=dtype, name=name)
        return layer.init_bilinear()

    def _path_to(self, pool):
        if pool not in self.trunk.taps:
            raise ValueError(f"the trunk taps {', '.join(self.trunk.taps) or 'nothing'}; got the skip {pool!r}")
        names = list(self.trunk.children)
        return self.trunk.layers[: names.index(pool) + 1]


def _channels(path):
    """The channels of a chain's output."""
    return next(layer.out_channels for layer in reversed(path) if isinstance(layer, Conv2d))


def _check_bilinear(key, weight, kernel_size):
    """The dense (C, C, k, k) block of a fixed upsampling layer is the bilinear kernel on the diagonal."""
    weight = np.asarray(weight)
    channels = weight.shape[0] if weight.ndim else 1
    expected = np.eye(channels)[:, :, None, None] * bilinear_kernel(kernel_size)
    if weight.shape != expected.shape or not np.allclose(weight, expected, atol=1e-6):
        raise ValueError(
            f"{key} is not the bilinear kernel of size {kernel_size} this model upsamples with (its shape is "
            f"{weight.shape}): it was learned. Build the model with upsampling='learned' or 'all_learned'"
        )
