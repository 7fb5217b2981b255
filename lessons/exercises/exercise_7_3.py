"""Exercise 7.3, prove: where the answers stand in the paper's form, and in the wrong one.

A network of output stride f runs on a row of pixels that was moved to the right by b
pixels, for b = 0, 1, ..., f - 1; zeros enter from the left. Output j of pass b sees what
begins at pixel f*j of the moved row.

Write `answers_for(place, f)`. It returns two values:

1. the pass b and the output j, as a tuple (b, j), that give the answer for pixel `place` of
   the unmoved row;
2. the pixel whose answer stands at `place` if somebody puts output j of pass b at f*j + b
   (the wrong direction), or None if this answer has seen the zeros.

Prove both. Why does the pixel of answer 2 never lie between the same two multiples of f as
`place`?

    answers_for(7, 4) -> (1, 2), 1
    answers_for(2, 4) -> (2, 1), None
"""


def answers_for(place, f):
    """(pass, output) for a place, and the pixel whose answer stands there in the wrong map."""
    # BEGIN SOLUTION
    # Proof. Pixel q of the unmoved row is pixel q + b of the moved one.
    # Output j of pass b sees what begins at f*j of the moved row, which is f*j - b of the
    # unmoved one. So it is the answer for f*j - b. For a given place we need f*j - b =
    # place with 0 <= b < f: f*j is the first multiple of f that is not below place, and b
    # is the distance. In the wrong map, place = f*j + b holds the answer for f*j - b =
    # place - 2b. Here f*j is the last multiple of f that is not above place. For b > 0 the
    # pixel f*j - b lies below f*j, and place above it. So they are in different intervals,
    # and f*j is the mirror between them. If f*j - b is negative, the window begins in the
    # zeros.
    right = -place % f, -(-place // f)
    pixel = place - 2 * (place % f)
    return right, pixel if pixel >= 0 else None
    # END SOLUTION


# --- check


def cases(rng):
    return [
        (7, 4),
        (2, 4),
        (0, 4),
        (8, 4),
        (6, 4),
        (13, 5),
        (11, 3),
        (33, 32),
        (70, 32),
        (5, 2),
    ]


def expected(place, f):
    outputs = [
        (b, j) for b in range(f) for j in range(place + 2)
    ]  # all passes, and more than enough outputs of each
    (right,) = [(b, j) for b, j in outputs if f * j - b == place]
    (pixel,) = [f * j - b for b, j in outputs if f * j + b == place]
    return right, pixel if pixel >= 0 else None


def _same_interval(place, f):
    right, _ = expected(place, f)
    return right, place if place % f == 0 else place // f * f + f - place % f


def _dropped(place, f):
    return (place % f, place // f), expected(place, f)[1]


def _negative(place, f):
    return expected(place, f)[0], place - 2 * (place % f)


MISTAKES = {
    "the wrong map does not reverse the answers inside their interval: they come from the previous one": _same_interval,
    "this is the form that drops pixels. Here the row moves right: output j of pass b is for pixel f*j - b": _dropped,
    "a negative pixel does not exist: that answer has seen the zeros": _negative,
}
