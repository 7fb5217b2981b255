"""What stands in the place of everything in a pickle that weights do not need.

Trainers save more than weights: counters, sets, settings, paths, objects of their own classes. None of it is needed.
So each becomes a Placeholder, which knows the name of what it stands for and nothing else. Nothing is imported, and
nothing is called. What the pickle puts into it is forgotten.
"""

from fcn_from_scratch.weights.trust import printable

MOST_LETTERS = 64  # of a name that is written out


class Placeholder:
    """Stands for one thing that a pickle names, whatever the pickle does with it. Its name is fit to be printed."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = printable(name[:MOST_LETTERS])

    def __repr__(self):
        return self.name


def dotted(module, name):
    """The name of a class or a function, module.name, of bounded length and fit to be printed."""
    return printable(f"{module[:MOST_LETTERS]}.{name[:MOST_LETTERS]}"[:MOST_LETTERS])
