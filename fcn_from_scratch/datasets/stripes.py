"""Stripes: a drawn world in which only large structure tells the class, and colour says nothing.

Squares lie on a ground and cover one another. All of them are striped in the same two grey tones. The class of a square
is the distance between its stripes. A few pixels show one stripe or none, so a layer that sees little of the picture
cannot tell the classes apart.
"""

from fcn_from_scratch.datasets import drawing
from fcn_from_scratch.datasets.shapes import Shapes, Thing

SPACINGS = (6, 10, 16)  # pixels from one stripe to the next: of the ground, and of the two classes
WIDTH = 3  # pixels, of every stripe


class Stripes(Shapes):
    """`count` drawn scenes of striped squares. The arguments are those of Shapes, without classes_by.

    things   how many squares a scene has; None for one to three
    Sample i depends only on the settings and (seed, split, i). Dark stripes on light ground and light ones on dark
    ground are equally frequent.
    """

    def __init__(self, count=1000, size=64, seed=0, split="train", **options):
        super().__init__(count, size, seed, split, **options)
        self.classes = ("background", *(f"{spacing} apart" for spacing in SPACINGS[1:]))

    def _scene(self, rng):
        """The ground, as a square larger than the picture, and the squares, the farthest first."""
        tones = [rng.uniform(0, 90), rng.uniform(165, 255)]
        rng.shuffle(tones)
        colours = tuple((tone,) * 3 for tone in tones)
        number = int(rng.integers(1, 4)) if self.things is None else self.things
        middle = tuple(length / 2 for length in self.size)
        ground = Thing("square", 0, middle, 2.0 * max(self.size), 0.0, colours)
        return [ground, *(self._square(rng, colours) for _ in range(number))]

    def _square(self, rng, colours):
        return Thing(
            "square",
            label=int(rng.integers(1, len(SPACINGS))),
            centre=tuple(rng.uniform(0.1, 0.9, 2) * self.size),
            radius=min(self.size) * rng.uniform(0.25, 0.45),
            angle=rng.uniform(-3.14, 3.14),
            colours=colours,
        )

    def _filling(self, rng, thing, size):
        return drawing.blend(drawing.stripes(rng, size, SPACINGS[thing.label], WIDTH), *thing.colours)
