"""Train and score on the pictures that can be read, and remember the others.

A dataset of thousands of pictures often has one that is cut short. By default a run does the rest, and the command
names the picture at the end. A label that is out of range is another matter: it means wrong settings, and stops.
"""

from fcn_from_scratch.checks import UnreadableError


class Readable:
    """A dataset without the pictures that cannot be read. In training, the next one takes the place of such a picture.

    So the length stays, and so do the random numbers of all other pictures: a resumed run meets the same pictures.

    left_out  the reasons, each of which names a file; several datasets may share the list
    Raises: UnreadableError when no picture at all can be read.
    """

    def __init__(self, dataset, left_out=None):
        self.dataset = dataset
        self.left_out = [] if left_out is None else left_out
        self._bad = set()

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        places = range(len(self))
        start = places[index]
        for place in (*places[start:], *places[:start]):
            sample = self._read(place)
            if sample is not None:
                return sample
        raise UnreadableError(f"none of the {len(self)} pictures can be read: {self.left_out[0]}")

    def labels_at(self, index):
        """The labels of one sample."""
        return self[index].labels

    def samples(self):
        """The samples that can be read, in order, each once."""
        found = False
        for place in range(len(self)):
            sample = self._read(place)
            if sample is not None:
                found = True
                yield sample
        if not found and self.left_out:
            raise UnreadableError(f"none of the {len(self)} pictures can be read: {self.left_out[0]}")

    def _read(self, place):
        """The sample, or None if it cannot be read."""
        if place in self._bad:
            return None
        try:
            return self.dataset[place]
        except UnreadableError as error:
            self._bad.add(place)
            if str(error) not in self.left_out:
                self.left_out.append(str(error))
            return None
