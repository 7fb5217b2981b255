"""The training data of the trunk: patches, each with the class of its middle pixel."""

import numpy as np

from fcn_from_scratch import checks


class PatchBatches:
    """An endless iterator of (x, labels) for training a classifier on labelled pictures.

    For each patch it draws a picture, then one of the classes in it, then a pixel of that class, each with equal
    probabilities. So rare classes come as often as common ones. The patch is centred on the pixel. Pixels outside the
    picture are 0, the mean colour.

    size         side of a patch in pixels
    preprocess   function: image uint8 (H, W, C) -> float32 (C, H, W)
    Shapes: x float32 (N, C, size, size); labels int64 (N, 1, 1), since the fully convolutional classifier makes a map
    of one cell from a patch.
    Raises: InputError if 100 pictures in a row have only ignored pixels.
    Source: patchwise training, which was usual before Long et al. 2015, section 3.4.
    """

    def __init__(self, dataset, batch_size, size, preprocess, seed=0):
        self.dataset, self.preprocess = dataset, preprocess
        self.batch_size = checks.integer(batch_size, "batch_size", 1)
        self.size = checks.integer(size, "size", 1)
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        return self

    def __next__(self):
        patches, labels = zip(*(self._patch() for _ in range(self.batch_size)))
        return np.stack(patches), np.array(labels, np.int64)[:, None, None]

    def state_dict(self):
        """The state of the iterator, in a form for JSON."""
        return {"generator": self.rng.bit_generator.state}

    def _patch(self):
        for _ in range(100):
            image, labels, _ = self.dataset[int(self.rng.integers(len(self.dataset)))]
            present = np.setdiff1d(labels, [self.dataset.ignore_index])
            if len(present):
                break
        else:
            raise checks.InputError("100 pictures drawn at random have no labelled pixel: is everything ignored?")
        label = self.rng.choice(present)
        places = np.argwhere(labels == label)
        return cut(self.preprocess(image), self.rng.choice(places), self.size), label


def cut(x, middle, size):
    """The size x size window of x (C, H, W) around a pixel. Pixels outside x are 0.

    y[c, i, j] = x[c, middle[0] - size//2 + i, middle[1] - size//2 + j]
    """
    patch = np.zeros((len(x), size, size), x.dtype)
    spans = []
    for place, length in zip(middle, x.shape[1:]):
        first = int(place) - size // 2
        start, stop = max(first, 0), min(first + size, length)
        spans.append((slice(start, stop), slice(start - first, stop - first)))
    (rows, to_rows), (columns, to_columns) = spans
    patch[:, to_rows, to_columns] = x[:, rows, columns]
    return patch
