"""What is examined: a network with its weights, pictures, settings; each may be absent."""

from functools import cached_property

import numpy as np

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError

PICTURES = 3  # on which a network is run
LARGEST = 224  # pixels a side of the part of them that it sees: enough for statistics, seconds for VGG16
LABELS = 200  # label files that are read


class Case:
    """Everything the checks may look at; None (or empty) is what there is not.

    model     a network, its weights loaded;  weights, the file they came from;  report, weights.load's
    told      what the file itself says about its network's name, or None
    dataset   a datasets.Dataset;  image_paths, pictures without labels
    lr, reduction, batch_size, size   settings of a training; size (H, W) of its pictures
    """

    def __init__(
        self,
        model=None,
        weights=None,
        report=None,
        told=None,
        dataset=None,
        image_paths=(),
        lr=None,
        reduction=None,
        batch_size=None,
        size=None,
    ):
        self.model, self.weights, self.report, self.told = model, weights, report, told
        self.dataset, self.image_paths = dataset, tuple(image_paths)
        self.lr, self.reduction, self.batch_size, self.size = lr, reduction, batch_size, size

    @cached_property
    def samples(self):
        """A few pictures (image, labels or None), cut to LARGEST; drawn ones if none were given."""
        if self.dataset is not None:
            spread = np.linspace(0, len(self.dataset) - 1, min(PICTURES, len(self.dataset))).astype(int)
            found = [_readable(self.dataset, int(index)) for index in spread]
            found = [(sample.image, _first_head(sample.labels)) for sample in found if sample is not None]
            if self.dataset.num_classes != self.classes:  # class_count has said it
                found = [(image, None) for image, _ in found]
        else:
            found = [(datasets.read_image(path), None) for path in self.image_paths[:PICTURES]]
        if not found:
            channels = np.arange(self.channels) % 3
            found = [(sample.image[:, :, channels], None) for sample in datasets.Shapes(PICTURES, (96, 96))]
        return [(_cut(image), None if labels is None else _cut(labels)) for image, labels in found]

    @property
    def classes(self):
        """The number of classes the network tells apart; of several heads, the first one's."""
        return int(np.atleast_1d(self.model.options["num_classes"])[0])

    @property
    def channels(self):
        """How many channels of a picture the network reads."""
        streams = getattr(self.model.trunk, "channels", None)  # of a late fusion
        return sum(streams) if streams else next(iter(self.model.params.values())).shape[1]

    @cached_property
    def survey(self):
        """What a look at the first LABELS label maps shows; None without a dataset."""
        return None if self.dataset is None else datasets.survey(self.dataset, LABELS)

    @property
    def survey_size(self):
        return min(len(self.dataset), LABELS)

    @property
    def pictures(self):
        """The same if they are real ones, else None: statistics of drawn ones say nothing about a network."""
        return self.samples if self.dataset is not None or self.image_paths else None

    @cached_property
    def sizes(self):
        """(height, width) of the pictures, of a sample of them if they are many; None without pictures."""
        if self.size is not None:
            return [self.size]
        if self.dataset is not None:
            step = max(len(self.dataset) // LABELS, 1)
            found = [_readable(self.dataset, index) for index in range(0, len(self.dataset), step)]
            return [sample.image.shape[:2] for sample in found if sample is not None] or None
        return [datasets.read_image(path).shape[:2] for path in self.image_paths] or None


def _readable(dataset, index):
    """The sample, or None if it cannot be read: the audit of the labels says why."""
    try:
        return dataset[index]
    except InputError:
        return None


def _first_head(labels):
    return labels.reshape(-1, *labels.shape[-2:])[0]


def _cut(array):
    """The middle of a picture or label map, at most LARGEST a side."""
    top, left = (max(n - LARGEST, 0) // 2 for n in array.shape[:2])
    return array[top : top + LARGEST, left : left + LARGEST]
