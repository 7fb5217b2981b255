"""Exercise 5.3, prove: the saving grows with the picture, and has a limit.

A classifier reads crops of size x size pixels, and its outputs stand `stride` pixels apart.
Its convolutions cost `shared` multiply-adds for each pixel that they read. Its fully
connected layers cost `own` multiply-adds for each output; outputs share nothing of that. So
one crop costs shared * size**2 + own. A picture of n x n pixels has m = (n - size) //
stride + 1 outputs per side.

Write `saving(n, size, stride, shared, own)`. It returns two numbers:

1. how many times cheaper one pass over the picture is than one run for each output's crop;
2. the limit of this number as n grows.

Prove that the limit is what you return. What is it for VGG16, with size 224, stride 32,
shared = 15.35e9 / 224**2 and own = 0.124e9?

    saving(224, 224, 32, 15.35e9 / 224**2, 0.124e9) -> 1.0, 35.4...
"""


def saving(n, size, stride, shared, own):
    """The saving of one pass over n x n pixels, and its limit."""
    # BEGIN SOLUTION
    # Proof. The pass costs shared * n^2 + own * m^2, and the m^2 crops cost
    # m^2 * (shared * size^2 + own). Divide both by m^2: an output of the pass costs shared
    # * (n / m)^2 + own. As n grows, n / m tends to the stride, because m = (n - size) /
    # stride + 1 up to rounding. So the cost of an output falls to shared * stride^2 + own:
    # it pays for stride x stride pixels, and for its own fully connected layers. The saving
    # tends to the quotient below. For VGG16 it is 15.47 / (15.35 / 49 + 0.124) = 35.
    # Without the fully connected layers it would be 49.
    m = (n - size) // stride + 1
    crop = shared * size**2 + own
    return m**2 * crop / (shared * n**2 + own * m**2), crop / (shared * stride**2 + own)
    # END SOLUTION


# --- check


def cases(rng):
    vgg = 224, 32, 15.35e9 / 224**2, 0.124e9
    return [
        (224, *vgg),
        (500, *vgg),
        (4000, *vgg),
        (96, 32, 4, 700.0, 21_000.0),
        (90, 33, 8, 5.0, 1000.0),
    ]


def expected(n, size, stride, shared, own):
    starts = range(0, n - size + 1, stride)
    crops = sum(shared * size * size + own for _ in starts for _ in starts)
    one_pass = shared * n * n + sum(own for _ in starts for _ in starts)
    side = 10**9  # so many outputs per side that one more or less does not matter
    pixels = size + stride * (side - 1)
    per_output = shared * (pixels / side) ** 2 + own
    return crops / one_pass, (shared * size * size + own) / per_output


def _all_shared(n, size, stride, shared, own):
    m = (n - size) // stride + 1
    return m**2 * (shared * size**2 + own) / (shared * n**2 + own), (size / stride) ** 2 * (
        1 + own / shared / size**2
    )


def _pixels_only(n, size, stride, shared, own):
    return expected(n, size, stride, shared, own)[0], (size / stride) ** 2


def _one_axis(n, size, stride, shared, own):
    m = (n - size) // stride + 1
    crop = shared * size**2 + own
    return m * crop / (shared * n**2 + own * m), crop / (shared * stride**2 + own)


MISTAKES = {
    "the fully connected layers run once for each output, also in one pass": _all_shared,
    "the limit (size / stride)**2 leaves out the fully connected layers": _pixels_only,
    "m is the number of outputs per side; the picture has m * m of them": _one_axis,
}
TOLERANCE = 1e-6
