"""Turn a picture into a network's input. A checkpoint carries these settings: its weights are useless without them."""

from dataclasses import asdict, dataclass

import numpy as np

from fcn_from_scratch import checks

VOC_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
HHA_MEAN = (132.431, 94.076, 118.477)  # the mean of NYUDv2's HHA, in the order of the files' channels


@dataclass(frozen=True)
class Preprocess:
    """x = (scale * image - mean) / std, with the channels in the given order.

    The default is the preprocessing of the paper's networks and of Caffe's VGG16: BGR, 0..255, minus the mean, no std.

    mean, std    three numbers each, in `order` and in units of the scaled image; std None divides by nothing
    order        "BGR" or "RGB", the order of the colours in x; the picture's own order is RGB
    scale        1/255 for networks trained on 0..1
    depth_mean   a fourth channel is depth: x[3] = scale * (depth - depth_mean) / depth_std
    depth_std
    hha_mean     three channels after the colours are HHA: x[3:6] = scale * (hha - hha_mean) / std; their order stays

    Shapes: image (H, W, C) -> x float32 (C, H, W), channels last in memory. C is 3 for colours, 4 for colours and
    depth, 6 for colours and HHA. HHA alone is C = 3 too, with order "RGB" and mean HHA_MEAN.
    Identity: undo(self(image)) == image for every uint8 image (tests/datasets/test_transforms.py).
    Raises: ValueError for settings or images of another form.
    """

    mean: tuple = VOC_MEAN_BGR
    order: str = "BGR"
    scale: float = 1.0
    std: tuple | None = None
    depth_mean: float = 127.5
    depth_std: float = 1.0
    hha_mean: tuple = HHA_MEAN

    def __post_init__(self):
        checks.choice(self.order, "order", ("BGR", "RGB"))
        for name in ("mean", "std", "hha_mean"):
            if getattr(self, name) is not None or name != "std":
                object.__setattr__(self, name, _three(getattr(self, name), name))
        for name in ("scale", "depth_mean", "depth_std"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not all(number > 0 for number in (self.scale, self.depth_std, *(self.std or ()))):
            raise ValueError(
                f"scale and std must be above 0; got {self.scale}, {self.std} and depth_std {self.depth_std}"
            )

    def __call__(self, image):
        if image.ndim != 3 or image.shape[2] not in (3, 4, 6):
            raise ValueError(
                f"an image must have shape (H, W, 3), with depth (H, W, 4), with HHA (H, W, 6); got {image.shape}"
            )
        mean, factor = self._constants(image.shape[2])
        x = image[:, :, self._channels(image.shape[2])].astype(np.float32)
        x -= mean
        x *= factor
        return x.transpose(2, 0, 1)

    def undo(self, x):
        """The picture that x (C, H, W) was made from. Returns: uint8 (H, W, C), rounded and clipped."""
        mean, factor = self._constants(len(x))
        image = np.rint(x.transpose(1, 2, 0) / factor + mean).clip(0, 255)
        return image[:, :, self._channels(len(x))].astype(np.uint8)

    def neutral(self, number):
        """The pixel that becomes 0. Pictures of so many channels are padded with it. Returns: a tuple of floats."""
        mean, _ = self._constants(number)
        return tuple(mean[self._channels(number)].tolist())

    def _channels(self, number):
        """The picture's channel for each channel of x. The list is its own inverse, so undo uses it too."""
        colours = [2, 1, 0] if self.order == "BGR" else [0, 1, 2]
        return [*colours, 3, 4, 5][:number]

    def _constants(self, number):
        """(mean, factor) such that x = (image - mean) * factor, with one number for each channel."""
        std = self.std or (1.0, 1.0, 1.0)
        more_means, more_std = (self.hha_mean, std) if number == 6 else ((self.depth_mean,), (self.depth_std,))
        mean = [*(m / self.scale for m in self.mean), *more_means]
        return np.float32(mean[:number]), np.float32([self.scale / s for s in (*std, *more_std)[:number]])

    def as_dict(self):
        """The settings as a dict of values that JSON can hold."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings):
        """The inverse of as_dict. Raises: InputError for settings that make no sense; they may come from a bad file."""
        try:
            return cls(**settings)
        except (TypeError, ValueError) as error:
            raise checks.InputError(f"these are not settings of a Preprocess: {settings!r} ({error})") from None


def _three(values, name):
    values = tuple(float(value) for value in values)
    if len(values) != 3:
        raise ValueError(f"{name} must have three numbers; got {len(values)}")
    return values


CAFFE = Preprocess()
TORCHVISION = Preprocess((0.485, 0.456, 0.406), "RGB", 1 / 255, (0.229, 0.224, 0.225))
