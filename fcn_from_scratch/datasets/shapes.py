"""Shapes: small scenes drawn on the fly, so that the whole course runs with nothing downloaded.

Balloons, squares, triangles, rings and crosses lie on a dull, textured ground and cover one another. Strings, rims and
arms are a few pixels wide. A prediction with a stride of 32 loses them; skip connections bring them back. As in PASCAL
VOC, a thin border around each thing is labelled 255 and ignored.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets import drawing
from fcn_from_scratch.datasets.base import Dataset, Sample

SPLITS = ("train", "val", "test")
KINDS = tuple(drawing.OUTLINES)
HUES = {"red": 0.0, "yellow": 0.14, "green": 0.34, "blue": 0.6, "magenta": 0.85}
CLASSES = {"shape": ("background", *KINDS), "colour": ("background", *HUES)}


class Thing(NamedTuple):
    """One object of a scene. Lengths are in pixels, the angle in radians; `label` is its class id."""

    kind: str
    label: int
    centre: tuple[float, float]
    radius: float
    angle: float
    colours: tuple


class Shapes(Dataset):
    """`count` drawn scenes. Sample i depends only on the settings and (seed, split, i), so it can be drawn by itself.

    size         in pixels, an integer or (H, W), at least 16
    split        "train", "val" or "test". They use separate random streams, so no scene is in two of them
    classes_by   "shape": the class of a thing is its outline, and its colour says nothing.
                 "colour": the class is the colour, and the outline says nothing. Telling the colours apart is easy;
                 finding where things end is not, so resolution is the bottleneck
    depth        add a fourth channel, from 0 (far) to 255 (near); each thing is nearer than everything it covers
    void_border  width in pixels of the ignored border around each thing; 0 for none
    things       how many things a scene has; None for two to five, more in elongated pictures
    noise        standard deviation of the pixel noise, in grey levels
    antialias    smooth the edges in the image; the labels' edges are always hard
    Raises: ValueError for an argument out of range; IndexError for an index beyond `count`.
    """

    def __init__(
        self,
        count=1000,
        size=64,
        seed=0,
        split="train",
        classes_by="shape",
        depth=False,
        void_border=1,
        things=None,
        noise=6.0,
        antialias=True,
    ):
        self.count = checks.integer(count, "count", 1)
        self.size = checks.pair(size, "size", 16)
        self.seed = checks.integer(seed, "seed", 0)
        self.split = checks.choice(split, "split", SPLITS)
        self.classes_by = checks.choice(classes_by, "classes_by", tuple(CLASSES))
        self.classes = CLASSES[self.classes_by]
        if self.classes_by == "colour":  # draw each class in its own colour
            hues = [drawing.colour(hue, 0.75, 0.85) for hue in HUES.values()]
            self.palette = Dataset.palette.copy()
            self.palette[1 : 1 + len(hues)] = np.rint(hues)
        self.depth = bool(depth)
        self.void_border = checks.integer(void_border, "void_border", 0)
        self.things = None if things is None else checks.integer(things, "things", 0)
        self.noise = float(noise)
        self.antialias = bool(antialias)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        index = range(self.count)[index]
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        image, labels = self._paint(rng, self._scene(rng))
        return Sample(image, labels, f"{self.split}_{index:06d}")

    def _scene(self, rng):
        """The things of one scene, the farthest first."""
        number = self.things
        if number is None:  # an elongated picture holds more things, so that the ground keeps its share
            number = round(rng.integers(2, 6) * max(self.size) / min(self.size))
        return [self._thing(rng) for _ in range(number)]

    def _thing(self, rng):
        kind = int(rng.integers(len(KINDS)))
        if self.classes_by == "shape":
            label, tone = 1 + kind, rng.random()
        else:
            hue = int(rng.integers(len(HUES)))
            label, tone = 1 + hue, list(HUES.values())[hue] + rng.uniform(-0.025, 0.025)
        saturation, value = rng.uniform(0.6, 1.0), rng.uniform(0.65, 1.0)
        first = drawing.colour(tone, saturation, value)
        second = drawing.colour(tone + rng.uniform(-0.015, 0.015), 0.75 * saturation, 0.6 * value)
        return Thing(
            KINDS[kind],
            label,
            centre=tuple(rng.uniform(0.1, 0.9, 2) * self.size),
            radius=min(self.size) * 0.11 * 3.2 ** rng.random(),
            angle=rng.uniform(-np.pi, np.pi),
            colours=(first, second),
        )

    def _paint(self, rng, scene):
        """Paint a scene from far to near. Returns: image uint8 (H, W, 3 or 4), labels uint8 (H, W)."""
        image = self._ground(rng)  # channels come first until the arithmetic is done, because that is faster
        labels = np.zeros(self.size, np.uint8)
        # The ground comes nearer from top to bottom. Each thing stands in front of it, in a slice of depth of its own.
        distance = np.empty(self.size, np.float32)
        distance[:] = np.linspace(10, 80, self.size[0])[:, None]
        for place, thing in enumerate(scene, start=1):
            window = self._window(thing)
            cover = self._coverage(thing, window)
            inside = np.zeros(self.size, bool)
            inside[window] = cover >= 128
            alpha = cover / np.float32(255) if self.antialias else inside[window]
            part = image[:, window[0], window[1]]
            part += alpha * (self._filling(rng, thing, cover.shape) - part)
            labels[_grown(inside, self.void_border)] = self.ignore_index
            labels[inside] = thing.label
            distance[inside] = 80 + 170 * place / len(scene)
        if self.depth:
            image = np.concatenate([image, distance[None]])
        image += self.noise * rng.standard_normal(image.shape, np.float32)
        image = np.rint(image).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(image.transpose(1, 2, 0)), labels

    def _window(self, thing):
        """The rows and columns that a thing can touch, as two slices. Painting only these is fast."""
        reach = drawing.REACH * thing.radius + drawing.THINNEST
        return tuple(
            slice(max(0, int(at - reach)), min(length, int(at + reach) + 1))
            for at, length in zip(thing.centre, self.size)
        )

    def _coverage(self, thing, window):
        size = [part.stop - part.start for part in window]
        centre = [at - part.start for at, part in zip(thing.centre, window)]
        return drawing.coverage(thing.kind, size, centre, thing.radius, thing.angle)

    def _filling(self, rng, thing, size):
        """What a thing is filled with, in its whole window. Returns: float32 (3, H, W)."""
        return drawing.blend(drawing.pattern(rng, size), *thing.colours)

    def _ground(self, rng):
        """A dull ground: two greyish tones mixed by two patterns. Returns: float32 (3, H, W)."""
        mix = (drawing.pattern(rng, self.size) + drawing.pattern(rng, self.size)) / 2
        tones = [
            drawing.colour(rng.random(), rng.uniform(0, 0.25), value)
            for value in rng.uniform(0.25, 0.85) + np.array([-0.08, 0.08])
        ]
        return drawing.blend(mix, *tones)


def _grown(mask, border):
    """The mask and all pixels within `border` pixels of it, diagonals included."""
    for _ in range(border):
        tall = mask.copy()
        tall[1:] |= mask[:-1]
        tall[:-1] |= mask[1:]
        mask = tall.copy()
        mask[:, 1:] |= tall[:, :-1]
        mask[:, :-1] |= tall[:, 1:]
    return mask
