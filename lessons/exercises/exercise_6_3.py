"""Exercise 6.3, prove: FCN-32s covers every picture.

In FCN-32s the first convolution makes m = n + 2 * pad - 2 values of n pixels. All other 3x3
convolutions keep the size. Five pools halve it, and round up. `fc6` has a 7x7 kernel and no
padding. The upscore layer has a kernel of 64 and stride 32: it makes 32 * (c - 1) + 64
values of c. The crop offset is pad - 81.

Prove: with pad >= 97 the scores cover a picture of n pixels, for every n >= 1. How many
pixels are left over behind the picture, at least and at most?

Write `left_over(n, pad)`: the number of upscore's pixels behind the picture, after the
crop. It returns None if the picture does not fit. Find a formula without a loop over the
pools.

    left_over(500, 100) -> 25
    left_over(1, 96) -> None
"""


def left_over(n, pad):
    """How many pixels of the upsampled scores lie behind the picture."""
    # BEGIN SOLUTION
    # Proof. ceil(ceil(m / 2) / 2) = ceil(m / 4), since a whole number is at
    # least m / 2 exactly if it is at least ceil(m / 2). So five pools make ceil(m / 32) of
    # m. fc6 leaves c = ceil(m / 32) - 6, and needs c >= 1. With pad >= 97 we have m >= 1 +
    # 194 - 2 = 193 > 6 * 32, so c >= 1. The upscore layer makes
    #     32 * (c - 1) + 64 = 32 * ceil(m / 32) - 160 = m - 160 + r,
    # where r, from 0 to 31, is what the pools added by rounding up. And m - 160 = n + 2 *
    # (pad - 81). The crop removes pad - 81 pixels in front, and n are the picture. So pad -
    # 81 + r pixels are left over behind it: never fewer than pad - 81, which is not
    # negative. With pad = 100 these are 19 to 50.
    m = n + 2 * pad - 2
    cells = -(-m // 32) - 6
    if cells < 1 or pad < 81:
        return None
    return 32 * (cells - 1) + 64 - (pad - 81) - n
    # END SOLUTION


# --- check


def cases(rng):
    pairs = [
        (500, 100),
        (1, 96),
        (1, 97),
        (375, 100),
        (256, 100),
        (33, 81),
        (32, 81),
        (300, 80),
        (14, 90),
        (15, 90),
    ]
    return pairs + [
        (int(n), int(pad))
        for n, pad in zip(rng.integers(1, 900, 6), rng.integers(97, 130, 6))
    ]


def expected(n, pad):
    return _walk(n, pad, lambda length: (length + 1) // 2)


def _walk(n, pad, halved, offset=None):
    length = n + 2 * pad - 2
    for _ in range(5):
        length = halved(length)
    made = (
        sum(32 for _ in range(length - 6)) + 32
    )  # each value of score_fr adds 32, the last kernel another 32
    front = pad - 81 if offset is None else offset(made - n)
    return (
        made - front - n if length >= 7 and front >= 0 and made - front - n >= 0 else None
    )


def _rounded_down(n, pad):
    return _walk(n, pad, lambda length: length // 2)


def _in_the_middle(n, pad):
    return _walk(n, pad, lambda length: (length + 1) // 2, lambda surplus: surplus // 2)


def _no_fc6_check(n, pad):
    made = 32 * -(-(n + 2 * pad - 2) // 32) - 160
    return made - (pad - 81) - n if pad >= 81 else None


MISTAKES = {
    "the pools of the paper round up": _rounded_down,
    "the crop is not taken from the middle: its offset is pad - 81 at every size": _in_the_middle,
    "fc6 needs 7 values of pool5; with fewer the picture does not fit": _no_fc6_check,
}
