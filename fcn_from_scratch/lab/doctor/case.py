"""What is examined: a network with its weights, pictures and settings. Each of them may be absent."""

from functools import cached_property

import numpy as np

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError

PICTURES = 3  # the network runs on so many
LARGEST = 224  # side in pixels of their crops: enough for statistics, and VGG16 takes seconds for it
LABELS = 200  # at most so many label files are read


class Case:
    """Everything that the checks can look at. What is absent is None or empty.

    model        a network with its weights loaded
    weights      the path of the weights' file
    report       the Report of weights.load
    told         the network's name that the file itself gives, or None
    dataset      a datasets.Dataset
    image_paths  paths of pictures without labels
    lr, reduction, batch_size   settings of a training
    size         (H, W) of the training pictures
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
        """A few (image, labels or None), cropped to LARGEST; drawn shapes if the case has no pictures."""
        if self.dataset is not None:
            spread = np.linspace(0, len(self.dataset) - 1, min(PICTURES, len(self.dataset))).astype(int)
            found = [_readable(self.dataset, int(index)) for index in spread]
            found = [(sample.image, _first_head(sample.labels)) for sample in found if sample is not None]
            if self.dataset.num_classes != self.classes:  # the check class_count reports this
                found = [(image, None) for image, _ in found]
        else:
            found = [(datasets.read_image(path), None) for path in self.image_paths[:PICTURES]]
        if not found:
            channels = np.arange(self.channels) % 3
            found = [(sample.image[:, :, channels], None) for sample in datasets.Shapes(PICTURES, (96, 96))]
        return [(_cut(image), None if labels is None else _cut(labels)) for image, labels in found]

    @property
    def classes(self):
        """The network's number of classes; with several heads, the first head's."""
        return int(np.atleast_1d(self.model.options["num_classes"])[0])

    @property
    def channels(self):
        """The number of channels of the pictures that the network reads."""
        streams = getattr(self.model.trunk, "channels", None)  # of a late fusion
        return sum(streams) if streams else next(iter(self.model.params.values())).shape[1]

    @cached_property
    def survey(self):
        """The datasets.survey of the first LABELS label maps; None without a dataset."""
        return None if self.dataset is None else datasets.survey(self.dataset, LABELS)

    @property
    def survey_size(self):
        return min(len(self.dataset), LABELS)

    @property
    def pictures(self):
        """The samples if they are the user's, otherwise None: drawn shapes tell nothing about a trained network."""
        return self.samples if self.dataset is not None or self.image_paths else None

    @cached_property
    def sizes(self):
        """A list of (height, width) of the pictures, or of a sample if there are many; None without pictures."""
        if self.size is not None:
            return [self.size]
        if self.dataset is not None:
            step = max(len(self.dataset) // LABELS, 1)
            found = [_readable(self.dataset, index) for index in range(0, len(self.dataset), step)]
            return [sample.image.shape[:2] for sample in found if sample is not None] or None
        return [datasets.read_image(path).shape[:2] for path in self.image_paths] or None


def _readable(dataset, index):
    """The sample, or None if it cannot be read. The check label_audit reports why."""
    try:
        return dataset[index]
    except InputError:
        return None


def _first_head(labels):
    return labels.reshape(-1, *labels.shape[-2:])[0]


def _cut(array):
    """The middle of a picture or label map, at most LARGEST pixels high and wide."""
    top, left = (max(n - LARGEST, 0) // 2 for n in array.shape[:2])
    return array[top : top + LARGEST, left : left + LARGEST]
