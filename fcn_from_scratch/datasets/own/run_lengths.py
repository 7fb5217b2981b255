"""COCO's run-length encodings of a mask.

A mask is read down its columns, from the left one to the right one. The runs of equal pixels are counted, those of
zeros first. The counts are a list, or a text: each count from the fourth on is stored less the one two before it, five
bits a character, the lowest first, from the character "0" on (cocodataset/cocoapi, common/maskApi.c).
"""

import numpy as np

from fcn_from_scratch.checks import InputError


def mask(counts, size):
    """Decode a mask. counts: a list of integers, or COCO's compressed text. size: (H, W). Returns: bool (H, W).

    Raises: InputError for counts that are no numbers of 0 or more, or that do not cover (H, W) exactly.
    """
    height, width = size
    if isinstance(counts, str):
        counts = decompress(counts, height * width)
    if not isinstance(counts, list) or not all(type(n) is int and 0 <= n <= height * width for n in counts):
        raise InputError(f"run lengths that are not numbers from 0 to {height * width}")
    if sum(counts) != height * width:
        raise InputError(f"run lengths that cover {sum(counts)} pixels of {height}x{width}, which has {height * width}")
    runs = np.arange(len(counts)) % 2 == 1
    return np.repeat(runs, np.array(counts, np.int64)).reshape(width, height).T


def decompress(text, most):
    """The run lengths of COCO's compressed text. Raises: InputError for one that is broken or above `most`."""
    counts, value, shift = [], 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise InputError("compressed run lengths that are damaged")
        value |= (bits & 0b11111) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (bits >> 4 & 1) << shift  # the highest bit is the sign
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        if not 0 <= counts[-1] <= most:
            raise InputError("compressed run lengths that are damaged")
        value, shift = 0, 0
    if shift:
        raise InputError("compressed run lengths that are cut short")
    return counts
