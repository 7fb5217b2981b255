"""From a picture to what a network eats. A checkpoint carries these settings: weights are useless without."""

from dataclasses import asdict, dataclass

import numpy as np

from fcn_from_scratch import checks

VOC_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)


@dataclass(frozen=True)
class Preprocess:
    """x = (scale * image - mean) / std, its channels in the given order.

    The default is that of the paper's nets and of Caffe's VGG16: BGR, 0..255, minus the mean, no std.
    mean, std    three numbers each, in `order` and in units of the scaled image; std None divides by nothing
    order        "BGR" or "RGB"; pictures come in RGB
    scale        1/255 for nets trained on 0..1
    depth_mean   for pictures with depth in a fourth channel, x[3] = scale * (depth - depth_mean)

    Shapes: image uint8 (H, W, 3 or 4) -> x float32 (3 or 4, H, W), channels last in memory.
    Identity: undo(self(image)) == image for every uint8 image (tests/datasets/test_transforms.py).
    Raises: ValueError for settings or images of another form.
    """

    mean: tuple = VOC_MEAN_BGR
    order: str = "BGR"
    scale: float = 1.0
    std: tuple | None = None
    depth_mean: float = 127.5

    def __post_init__(self):
        checks.choice(self.order, "order", ("BGR", "RGB"))
        for name in ("mean", "std"):
            if getattr(self, name) is not None or name == "mean":
                object.__setattr__(self, name, _three(getattr(self, name), name))
        for name in ("scale", "depth_mean"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.scale > 0 or min(self.std or (1,)) <= 0:
            raise ValueError(f"scale and std are above 0; got {self.scale} and {self.std}")

    def __call__(self, image):
        if image.ndim != 3 or image.shape[2] not in (3, 4):
            raise ValueError(f"an image has shape (H, W, 3) or, with depth, (H, W, 4); got {image.shape}")
        mean, factor = self._constants(image.shape[2])
        x = image[:, :, self._channels(image.shape[2])].astype(np.float32)
        x -= mean
        x *= factor
        return x.transpose(2, 0, 1)

    def undo(self, x):
        """The picture that x, (3 or 4, H, W), was made from: uint8 (H, W, 3 or 4), rounded and clipped."""
        mean, factor = self._constants(len(x))
        image = np.rint(x.transpose(1, 2, 0) / factor + mean).clip(0, 255)
        return image[:, :, self._channels(len(x))].astype(np.uint8)

    def _channels(self, number):
        """Where the network's channels are in the picture; the same list leads back."""
        return [2, 1, 0, 3][:number] if self.order == "BGR" else [0, 1, 2, 3][:number]

    def _constants(self, number):
        """mean and factor with which x = (image - mean) * factor, one number a channel."""
        std = (*(self.std or (1, 1, 1)), 1)
        mean = [*(m / self.scale for m in self.mean), self.depth_mean]
        return np.float32(mean[:number]), np.float32([self.scale / s for s in std[:number]])

    def as_dict(self):
        """The settings as JSON can hold them."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings):
        """The inverse of as_dict. Raises: InputError for settings that make no sense, as from a bad file."""
        try:
            return cls(**settings)
        except (TypeError, ValueError) as error:
            raise checks.InputError(f"these are no settings of a Preprocess: {settings!r} ({error})") from None


def _three(values, name):
    values = tuple(float(value) for value in values)
    if len(values) != 3:
        raise ValueError(f"{name} has three numbers; got {len(values)}")
    return values


CAFFE = Preprocess()
TORCHVISION = Preprocess((0.485, 0.456, 0.406), "RGB", 1 / 255, (0.229, 0.224, 0.225))
