"""Exercise 12.3, prove: a bias of score_fr fades at the border of the picture.

All steps of the head after the score layers are linear. So the scores of FCN-8s are a sum
of three terms, one for each score layer, and the term of score_fr is linear in its bias.
Set this bias to 1 and all other parameters of the score layers to 0. What arrives at each
pixel? One axis is enough, because the other one does the same.

Write `border_gain(side)`. It returns the array of what arrives at the `side` pixels along
one axis of the lesson's FCN-8s. Exercise 12.1 has the sizes of the maps and the crops.
Along one axis, an upsampling with the stride s spreads a cell over 2s places with the
weights 1/(2s), 3/(2s), ... (2s-1)/(2s), (2s-1)/(2s), ... 3/(2s), 1/(2s). The weights of the
next cell begin s places later.

    border_gain(64)[0] -> 0.421875        (27/64)
"""

import numpy as np


def border_gain(side):
    """What arrives at each pixel along one axis, for a bias of 1 in score_fr."""

    # BEGIN SOLUTION
    # Let h, p4 and p3 be the maps of the trunk, S a score layer and U an
    # upsampling with the crop after it. Then
    #     y = U8(U4(U2(S_fr h) + S_4 p4) + S_3 p3) = U8 U4 U2 S_fr h + U8 U4 S_4 p4 + U8 S_3 p3
    # because U(a + b) = U a + U b. A ReLU after a fusion would end this. With its bias
    # alone, S_fr h is 1 everywhere. The first upsampling gives 1/4 3/4 1 1 ... 1, and the
    # crop removes the part below 1. The second gives 1/4 3/4 1 1 ..., and its crop removes
    # only the 1/4: the first cell is left with 3/4. The last one rises over 8 pixels and
    # the crop removes 4 of them: 9/16, 11/16, 13/16 and 15/16 of 3/4 arrive. The next 8
    # pixels pass from 3/4 to 1. So the first pixel gets 27/64, and a corner gets (27/64)**2
    # = 0.18.
    def up(cells, stride, crop, size):
        rising = np.arange(1, 2 * stride, 2) / (2 * stride)
        taps = np.concatenate([rising, rising[::-1]])
        wide = np.zeros(stride * (len(cells) - 1) + 2 * stride)
        for number, value in enumerate(cells):
            wide[stride * number : stride * number + 2 * stride] += value * taps
        return wide[crop : crop + size]

    pool3, pool4, pool5 = -(-side // 8), -(-side // 16), -(-side // 32)
    fused4 = up(np.ones(pool5 + 1), 2, 2, pool4)
    fused3 = up(fused4, 2, 1, pool3)
    return up(fused3, 8, 4, side)
    # END SOLUTION


# --- check

from fcn_from_scratch import ops

TOLERANCE = 1e-12


def cases(rng):
    return [(64,), (50,), (128,), (17,)]


def _gain(side, first=2, start=3, last_crop=4):
    """In two dimensions with the package's ops, on a wide map. Its middle column is one axis."""
    pool3, pool4, pool5 = (len(range(0, side, 2**stage)) for stage in (3, 4, 5))
    cells = np.ones((1, 1, pool5 + 1, 9))
    for number, (kernel_size, stride, crop, rows) in enumerate(
        [(4, 2, first, pool4), (4, 2, 1, pool3), (16, 8, last_crop, side)]
    ):
        if number < 3 - start:
            cells = np.ones((1, 1, rows, 9))
            continue
        up = ops.bilinear_upsample(cells, kernel_size, stride)
        middle = up.shape[3] // 2
        column = up[:, :, crop : crop + rows, middle : middle + 1]
        cells = np.repeat(column, 9, axis=3)
    return cells[0, 0, :, 0]


def expected(side):
    return _gain(side)


MISTAKES = {
    "a bias is not 1 everywhere: at the border the upsampled cells have fewer neighbours": lambda side: (
        np.ones(side)
    ),
    "this is the bias of score_pool3, which passes one upsampling; score_fr's passes three": lambda side: (
        _gain(side, start=1)
    ),
    "the first crop begins at row 2, so nothing is lost there: the first cell is 1, not 3/4": lambda side: (
        _gain(side, first=1)
    ),
}
