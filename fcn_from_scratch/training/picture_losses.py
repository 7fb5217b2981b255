"""The loss on labelled pictures, as the paper's public code prints it: one loss a picture, and their mean."""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.ops import softmax_cross_entropy

DIGITS = 6  # significant ones in files: the sum's last digits depend on the number of processes


class PictureLosses:
    """Adds up the losses of pictures: called with a picture's name, and name of the head -> (scores, labels).

    mean    the mean over a picture's pixels that count, then over the pictures
    summed  the sum over a picture's pixels, then the mean over the pictures. It is what the paper's public code prints,
            since its networks do not divide the loss by the number of pixels
    """

    def __init__(self, ignore_index=255):
        self.ignore_index, self.pictures, self.totals = ignore_index, 0, {}

    def __call__(self, name, found):
        self.pictures += 1
        for head, (scores, labels) in found.items():
            there = get_array_module(scores).asarray(labels)  # on the scores' device
            loss = float(softmax_cross_entropy(scores, there, self.ignore_index, "sum")[0])
            pixels = int((labels != self.ignore_index).sum())
            self._add(head, loss / max(pixels, 1), loss)

    def _add(self, head, mean, summed):
        before = self.totals.get(head, (0.0, 0.0))
        self.totals[head] = (before[0] + mean, before[1] + summed)

    def state(self):
        """(pictures, totals), to send to another process."""
        return self.pictures, self.totals

    def merge(self, states):
        """Take the sum of several states in the place of this one's own."""
        self.pictures, self.totals = 0, {}
        for pictures, totals in states:
            self.pictures += pictures
            for head, (mean, summed) in totals.items():
                self._add(head, mean, summed)

    def means(self):
        """name of the head -> {"loss": mean, "summed_loss": summed}."""
        number = max(self.pictures, 1)
        return {head: {"loss": mean / number, "summed_loss": s / number} for head, (mean, s) in self.totals.items()}

    def numbers(self):
        """The means for JSON, with DIGITS digits: those of the first head, and those of the others by name."""
        each = {
            head: {name: float(f"{value:.{DIGITS}g}") for name, value in found.items()}
            for head, found in self.means().items()
        }
        first, *others = each
        return each[first] | ({"losses": {head: each[head] for head in others}} if others else {})

    def lines(self):
        """The means in words, a line for each head."""
        found = self.means()
        return [
            (f"{head} head: " if len(found) > 1 else "")
            + f"mean loss {each['loss']:.4f} a pixel; {each['summed_loss']:.6g} summed over the pixels of a picture"
            for head, each in found.items()
        ]
