"""Random changes to a picture together with its labels.

Each change takes (image, labels, rng) and returns the changed pair. The image is (H, W, C). The labels are (H, W),
or (heads, H, W) where there are several label maps. All randomness comes from that rng, so one seed gives one result.
The inputs are never written to.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.labels import IGNORE

MEAN_COLOUR = (123, 117, 104)  # VOC's mean, RGB: a pixel of this colour is close to 0 once the mean is subtracted


@dataclass(frozen=True)
class Compose:
    """Make several changes, one after the other."""

    steps: tuple

    def __call__(self, image, labels, rng):
        for step in self.steps:
            image, labels = step(image, labels, rng)
        return image, labels


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right with probability p."""

    p: float = 0.5

    def __call__(self, image, labels, rng):
        if rng.random() < self.p:
            return image[:, ::-1], labels[..., ::-1]
        return image, labels


@dataclass(frozen=True)
class RandomCrop:
    """Cut out a window of the given size, an integer or (H, W) in pixels, from anywhere in the picture.

    A picture that is smaller than the window is first padded evenly on all sides. Its labels are padded with 255.
    Channel c is padded with fill[c], and with 0 where `fill` has no number for it. Preprocess.neutral gives the
    numbers that a network sees as 0.
    """

    size: int | tuple[int, int]
    fill: tuple[float, ...] = MEAN_COLOUR

    def __post_init__(self):
        object.__setattr__(self, "size", checks.pair(self.size, "size", 1))

    def __call__(self, image, labels, rng):
        height, width = (max(have, want) for have, want in zip(labels.shape[-2:], self.size))
        if labels.shape[-2:] != (height, width):
            image, labels = self._padded(image, labels, height, width)
        top = rng.integers(height - self.size[0] + 1)
        left = rng.integers(width - self.size[1] + 1)
        rows, columns = slice(top, top + self.size[0]), slice(left, left + self.size[1])
        return image[rows, columns], labels[..., rows, columns]

    def _padded(self, image, labels, height, width):
        rows, columns = image.shape[:2]
        top, left = (height - rows) // 2, (width - columns) // 2
        rows, columns = slice(top, top + rows), slice(left, left + columns)
        fill = np.zeros(image.shape[2])
        fill[: len(self.fill)] = self.fill[: len(fill)]
        larger = np.empty((height, width, len(fill)), image.dtype)
        larger[:] = fill if image.dtype.kind == "f" else np.rint(fill)
        larger[rows, columns] = image
        larger_labels = np.full((*labels.shape[:-2], height, width), IGNORE, labels.dtype)
        larger_labels[..., rows, columns] = labels
        return larger, larger_labels


@dataclass(frozen=True)
class RandomScale:
    """Resize by a random factor between `low` and `high`.

    The factor's logarithm is uniform, so doubling is as likely as halving. The image is interpolated. The labels
    take the nearest pixel's id, since the mean of two ids would be a third class.
    """

    low: float = 0.5
    high: float = 2.0

    def __post_init__(self):
        if not 0 < self.low <= self.high:
            raise ValueError(f"factors must be above 0, the lower one first; got {self.low} and {self.high}")

    def __call__(self, image, labels, rng):
        factor = self.low * (self.high / self.low) ** rng.random()
        size = tuple(max(1, round(factor * n)) for n in labels.shape[-2:])
        # Resize each channel on its own: Pillow takes a fourth channel for alpha and weighs the colours by it.
        channels = [_resized(channel, size, Image.Resampling.BILINEAR) for channel in image.transpose(2, 0, 1)]
        maps = labels.reshape(-1, *labels.shape[-2:])
        maps = [_resized(ids, size, Image.Resampling.NEAREST) for ids in maps]
        return np.stack(channels, axis=2), np.stack(maps).reshape(*labels.shape[:-2], *size)


def _resized(plane, size, by):
    """Resize one channel or label map (H, W)."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], by))


@dataclass(frozen=True)
class ColourJitter:
    """Multiply brightness, contrast and saturation by random factors between 1 - strength and 1 + strength.

    The labels stay as they are, and so do channels after the first three.
    """

    strength: float = 0.3

    def __post_init__(self):
        checks.probability(self.strength, "strength")

    def __call__(self, image, labels, rng):
        brightness, contrast, saturation = rng.uniform(1 - self.strength, 1 + self.strength, 3).astype(np.float32)
        colours = image[:, :, :3].astype(np.float32)
        grey = colours.mean(axis=2, keepdims=True)
        colours = grey + saturation * (colours - grey)
        middle = colours.mean()
        colours = brightness * (middle + contrast * (colours - middle))
        jittered = image.copy()
        jittered[:, :, :3] = np.rint(colours).clip(0, 255)
        return jittered, labels
