"""What stands in the place of everything in a pickle that weights do not need.

Trainers save more than weights: counters, sets, settings, paths, objects of their own classes. None of it is needed.
So each becomes a Placeholder, which knows the name of what it stands for. Nothing is imported, and nothing is called.

Some trainers keep the weights themselves in an object: a class of their own that is a dict, or a Namespace. So a
Placeholder for an object also keeps what the pickle puts into it under a key, as plain dicts. Everything else that is
put into it is forgotten.
"""

from fcn_from_scratch.weights.trust import printable

MOST_LETTERS = 64  # of a name that is written out


class Placeholder:
    """Stands for one thing that a pickle names, whatever the pickle does with it. Its name is fit to be printed.

    items        of an object: what the pickle puts into it as into a dict
    attributes   of an object: the dict that is its state
    Both are None for a class, and for an object that got none.
    """

    __slots__ = ("attributes", "items", "name")

    def __init__(self, name):
        self.name = printable(name[:MOST_LETTERS])
        self.items = self.attributes = None

    def __repr__(self):
        return self.name

    def instance(self, arguments=()):
        """The Placeholder for an object of this class. A dict among what it is made from is its content."""
        made = Placeholder(self.name)
        given = arguments[0] if isinstance(arguments, tuple) and arguments else None
        if isinstance(given, dict):
            made.items = dict(given)
        return made


def dotted(module, name):
    """The name of a class or a function, module.name, of bounded length and fit to be printed."""
    return printable(f"{module[:MOST_LETTERS]}.{name[:MOST_LETTERS]}"[:MOST_LETTERS])
