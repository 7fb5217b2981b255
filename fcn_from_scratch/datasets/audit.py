"""Check a dataset's labels before spending an hour of training on them."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.labels import IGNORE

NAMES = 10  # of classes in one sentence


class Survey(NamedTuple):
    """What `survey` found in a dataset's samples."""

    unreadable: list  # one sentence for each sample that cannot be read
    findings: list  # one sentence for each other thing that looks wrong
    counts: np.ndarray  # int64 (heads, 256): the number of pixels of each label id; entry 255 counts ignored pixels


def survey(dataset, limit=None, watch=iter):
    """Read the first `limit` samples (all when None) and collect what looks wrong.

    It finds samples that cannot be read (and says why), samples whose every pixel is ignored, classes that never
    occur, and two-class masks saved as 0 and 255.

    watch  wraps the range of sample numbers that is looped over, as a progress bar does
    Returns: Survey.
    """
    unreadable, findings = [], []
    counts = np.zeros((len(dataset.heads), 256), np.int64)
    number = _number(dataset, limit)
    for index in watch(range(number)):
        try:
            sample = dataset[index]
        except InputError as error:
            unreadable.append(str(error))
            continue
        counts += _count(sample.labels)
        if (sample.labels == IGNORE).all():
            findings.append(f"{sample.name}: every pixel is ignored ({IGNORE}), so it teaches nothing")
    for head, (kind, classes) in enumerate(dataset.heads.items()):
        label = f"{kind} labels: " if len(counts) > 1 else ""
        absent = [name for name, count in zip(classes, counts[head]) if count == 0]
        if counts[head].any() and absent:
            findings.append(f"{label}never seen in {number} samples: {few(absent, NAMES)}")
        if finding := swallowed_foreground(counts[head]):
            findings.append(label + finding)
    return Survey(unreadable, findings, counts)


def audit(dataset, limit=None):
    """List what looks wrong in the first `limit` samples (all when None); `survey` says what is looked for.

    Returns: list of str, one sentence for each finding. An empty list is good news.
    """
    seen = survey(dataset, limit)
    return seen.unreadable + seen.findings


def count_ids(dataset, limit=None):
    """Count the pixels of each label id in the first `limit` samples (all when None).

    Where a dataset has several labellings, the first one is counted.

    Returns: int64 (256,); entry 255 counts the ignored pixels.
    Raises: InputError for labels that cannot be read.
    """
    labels_at = getattr(dataset, "labels_at", lambda index: dataset[index].labels)
    counts = np.zeros(256, np.int64)
    for index in range(_number(dataset, limit)):
        counts += _count(labels_at(index))[0]
    return counts


def _number(dataset, limit):
    return len(dataset) if limit is None else min(limit, len(dataset))


def _count(labels):
    """Count the pixels of each id. Returns: int64 (heads, 256), one row for each label map."""
    maps = labels.astype(np.intp, copy=False).reshape(-1, *labels.shape[-2:])
    return np.stack([np.bincount(ids.ravel(), minlength=256) for ids in maps]).astype(np.int64, copy=False)


def swallowed_foreground(counts):
    """The complaint about masks whose foreground is saved as 255, or None; `counts` says how often each id occurs.

    Such a foreground is ignored everywhere. The network learns nothing but background, and the foreground's IU is 0.
    """
    if counts[IGNORE] == 0 or counts[1:IGNORE].any():
        return None
    share = counts[IGNORE] / counts.sum()
    return (
        f"{share:.0%} of the pixels are {IGNORE}, which is ignored, and no id from 1 up occurs; "
        f"if these are masks of 0 and {IGNORE}, save the foreground as 1"
    )
