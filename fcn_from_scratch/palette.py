"""The colours of class ids: PASCAL VOC's palette, which most label files of this field use."""

import numpy as np


def voc_palette():
    """The colour of every label id: row i is the RGB colour in which PASCAL VOC draws class i.

    The bits of an id go to red, green and blue in turn, the lowest bit first. Each channel is filled from its highest
    bit down, so small ids get very different colours:

    palette[i, c] = sum over j of  bit(3*j + c of i) * 2**(7 - j)     c = 0 red, 1 green, 2 blue;  j = 0, 1, 2

    Returns: uint8 (256, 3). Row 0 (background) is black, row 255 (void) is (224, 224, 192).
    Source: the PASCAL VOC development kit's colour map; tests/test_viz.py checks it.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for c in range(3):
        for j in range(3):
            bit = (ids >> (3 * j + c)) & 1
            palette[:, c] |= (bit << (7 - j)).astype(np.uint8)
    return palette
