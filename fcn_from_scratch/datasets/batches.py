"""Put pictures of one or several sizes into batches, and decide the order in which training sees them."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.labels import IGNORE

ORDER, CHANGES = 0, 1  # two random streams: the order of the samples, and the changes that `augment` makes


def collate(images, labels, size=None):
    """Put pictures into one array and their labels into another. Smaller pictures are padded at the bottom and right.

    Images are padded with 0, which is the mean colour once the mean is subtracted. Labels are padded with 255, so the
    loss ignores the padding.

    size   (H, W) of the arrays; None takes the smallest that holds all pictures, max H_i and max W_i
    Shapes: images a list of (C, H_i, W_i); labels a list of (H_i, W_i), or of (heads, H_i, W_i) where each picture
    has several label maps.
    Returns: x float32 (N, C, H, W) and labels int64 (N, H, W) or (N, heads, H, W). In memory x has its channels
    last, the layout in which the convolutions are fastest. The labels are int64 because bytes would wrap around in
    sums such as num_classes * labels + predictions.
    Raises: ValueError for an empty list, for pictures that differ in their channels or their number of label maps,
    and for labels of another size than their image.
    """
    if not images or len(images) != len(labels):
        raise ValueError(f"a batch needs at least one image, and labels for each; got {len(images)} and {len(labels)}")
    if len({image.shape[0] for image in images}) > 1:
        raise ValueError(f"images of one batch must have equal channels; got {[image.shape[0] for image in images]}")
    heads = labels[0].shape[:-2]
    height, width = np.max([image.shape[1:] for image in images], axis=0) if size is None else size
    x = np.zeros((len(images), height, width, images[0].shape[0]), np.float32).transpose(0, 3, 1, 2)
    y = np.full((len(images), *heads, height, width), IGNORE, np.int64)
    for n, (image, ids) in enumerate(zip(images, labels)):
        rows, columns = image.shape[1:]
        checks.same_shape(ids, (*heads, rows, columns), "labels", "their image")
        x[n, :, :rows, :columns] = image
        y[n, ..., :rows, :columns] = ids
    return x, y


class Batches:
    """An endless iterator of training batches (x, labels), as `collate` makes them.

    preprocess  image uint8 (H, W, C) -> float32 (C, H, W)
    augment     None, or (image, labels, rng) -> (image, labels), applied before `preprocess`
    shuffle     "epoch": a new order of all samples in each epoch; "replacement": each sample is drawn from all
                samples, as the paper's public code does in training; None: the dataset's order
    drop_last   leave out the last batch of an epoch when it is smaller (with "replacement" every batch is full)

    Every random number is a function of (seed, epoch, position in the epoch). The state of a run is therefore two
    integers, and a resumed run draws, bit for bit, what it would have drawn without the break.
    Raises: ValueError when drop_last would leave no batch at all.
    """

    def __init__(self, dataset, batch_size, preprocess, augment=None, seed=0, shuffle="epoch", drop_last=False):
        self.dataset = dataset
        self.batch_size = checks.integer(batch_size, "batch_size", 1)
        self.preprocess = preprocess
        self.augment = augment
        self.seed = checks.integer(seed, "seed", 0)
        self.shuffle = checks.choice(shuffle, "shuffle", ("epoch", "replacement", None))
        self.drop_last = bool(drop_last)
        self.epoch, self.position = 0, 0
        self._order_of = None, None
        self._latest = range(0)
        if len(self) == 0:
            raise ValueError(f"a batch of {batch_size} is larger than the dataset, which has {len(dataset)} samples")

    def __len__(self):
        """The number of batches in one epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        return self

    def __next__(self):
        return collate(*zip(*self.samples(self.advance())))

    def advance(self):
        """Move on by one batch. Returns: the range of the batch's places in the epoch's order."""
        if self.position >= len(self._order()):
            self.epoch, self.position = self.epoch + 1, 0
        start = self.position
        self.position = min(start + self.batch_size, len(self._order()))
        self._latest = range(start, self.position)
        return self._latest

    def names(self):
        """The names of the samples of the latest batch."""
        return [self.dataset[int(self._order()[place])].name for place in self._latest]

    def samples(self, places):
        """The samples at these places of the epoch's order. Returns: list of (image, labels), prepared for collate."""
        order = self._order()
        return [self._sample(int(order[place]), place) for place in places]

    def _sample(self, index, place):
        image, labels, _ = self.dataset[index]
        if self.augment is not None:
            rng = np.random.default_rng([self.seed, CHANGES, self.epoch, place])
            image, labels = self.augment(image, labels, rng)
        return self.preprocess(image), labels

    def _order(self):
        """The indices that this epoch visits, in order."""
        epoch, order = self._order_of
        if epoch != self.epoch:
            number, length = len(self.dataset), len(self) * self.batch_size
            rng = np.random.default_rng([self.seed, ORDER, self.epoch])
            if self.shuffle == "epoch":
                order = rng.permutation(number)
            elif self.shuffle == "replacement":
                order = rng.integers(number, size=length)
            else:
                order = np.arange(number)
            order = order[:length]
            self._order_of = self.epoch, order
        return order

    def _settings(self):
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def state_dict(self):
        """The position of the run, in values that JSON can hold."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position, **self._settings()}

    def load_state_dict(self, state):
        """Continue from the position that `state_dict()` recorded. The seed comes from the state too.

        Raises: InputError when the state belongs to other data or other settings.
        """
        for name, mine in self._settings().items():
            if name not in state or state[name] != mine:
                theirs = state.get(name, "nothing")
                raise checks.InputError(f"the saved batches had {name} = {theirs!r}, these have {mine!r}")
        self.seed, self.epoch, self.position = (
            checks.integer(state.get(name), name, 0) for name in ("seed", "epoch", "position")
        )
        self._order_of = None, None


def epoch(dataset, batch_size, preprocess):
    """Every sample once, in order, for evaluation. Yields (x, labels, names); the last batch may be smaller."""
    checks.integer(batch_size, "batch_size", 1)
    for start in range(0, len(dataset), batch_size):
        samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        images, labels, names = zip(*samples)
        yield *collate([preprocess(image) for image in images], labels), names
