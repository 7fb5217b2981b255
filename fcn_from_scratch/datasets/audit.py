"""Looking through a dataset's labels before an hour of training is spent on them."""

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.labels import IGNORE


def audit(dataset, limit=None):
    """What looks wrong in the first `limit` samples (all when None), one sentence each; [] is good news.

    Found are samples that cannot be read (with the reason), samples whose every pixel is ignored, classes
    that never occur, and two-class masks saved as 0 and 255.
    Returns: list of str.
    """
    findings, counts = [], np.zeros(256, np.int64)
    number = len(dataset) if limit is None else min(limit, len(dataset))
    for index in range(number):
        try:
            sample = dataset[index]
        except InputError as error:
            findings.append(str(error))
            continue
        found = np.bincount(sample.labels.ravel(), minlength=256)
        if found[IGNORE] == sample.labels.size:
            findings.append(f"{sample.name}: every pixel is ignored ({IGNORE}), so it teaches nothing")
        counts += found
    absent = [name for name, count in zip(dataset.classes, counts) if count == 0]
    if counts.any() and absent:
        findings.append(f"never seen in {number} samples: {', '.join(absent)}")
    return findings + [finding for finding in [swallowed_foreground(counts)] if finding]


def count_ids(dataset, limit=None):
    """How many pixels have each label id in the first `limit` samples (all when None).

    Returns: int64 (256,); entry 255 counts the ignored pixels.
    Raises: InputError for labels that cannot be read.
    """
    counts = np.zeros(256, np.int64)
    labels_at = getattr(dataset, "labels_at", lambda index: dataset[index].labels)
    for index in range(len(dataset) if limit is None else min(limit, len(dataset))):
        counts += np.bincount(labels_at(index).ravel(), minlength=256)
    return counts


def swallowed_foreground(counts):
    """The complaint about masks that say 255 for the foreground, given how often each id occurs, or None.

    Such a foreground is ignored everywhere: a net learns nothing but background, and its IU is 0.
    """
    if counts[IGNORE] == 0 or counts[1:IGNORE].any():
        return None
    share = counts[IGNORE] / counts.sum()
    return (
        f"{share:.0%} of the pixels are {IGNORE}, which is ignored, and no id from 1 up occurs; "
        f"if these are masks of 0 and {IGNORE}, save the foreground as 1"
    )
