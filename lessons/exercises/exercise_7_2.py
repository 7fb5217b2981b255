"""Exercise 7.2, change: answers at every second pixel.

A network of output stride f is given as a function: it turns a picture (H, W) into a map.
You want answers at every `step`-th pixel only, where `step` divides f. With f = 4 and step
= 2, for example, four passes are enough. Which shifts do they need?

Write `stitch_every(net, x, f, step)`. It returns the map with an answer for the windows
that begin at the pixels 0, step, 2 * step, ... along both axes. It must not run the network
more often than necessary.
"""

import numpy as np


def stitch_every(net, x, f, step):
    """The answers at every `step`-th pixel, from (f / step)**2 passes."""
    # BEGIN SOLUTION
    # The pass without its first a rows answers for the windows that begin at
    # f*i + a. These are multiples of `step` if a is one, since step divides f. In the
    # result, row f*i + a is row (f*i + a) / step = (f / step)*i + a / step.
    shifts, n = range(0, f, step), f // step
    passes = {(a, b): net(x[a:, b:]) for a in shifts for b in shifts}
    rows, columns = (
        sum(len(passes[a, 0]) for a in shifts),
        sum(passes[0, b].shape[1] for b in shifts),
    )
    dense = np.empty((rows, columns))
    for (a, b), y in passes.items():
        dense[a // step :: n, b // step :: n] = y
    return dense
    # END SOLUTION


# --- check


class Pooled:
    """A network: the mean of windows of `size` pixels, weighted so that no two places count the same, with stride f."""

    def __init__(self, size, f, allowed):
        self.size, self.f, self.allowed, self.runs = size, f, allowed, 0

    def __call__(self, x):
        self.runs += 1
        if self.runs > self.allowed:
            most = f"(f / step)**2 = {self.allowed}"
            raise RuntimeError(
                f"{most} passes are enough, but the network was run once more"
            )
        return self.at_every_pixel(x)[:: self.f, :: self.f]

    def at_every_pixel(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (self.size, self.size + 1))
        return windows @ np.arange(1, self.size + 2) @ np.arange(1, self.size + 1)

    def __repr__(self):
        return f"a network of stride {self.f}"


def cases(rng):
    found = []
    for size, f, step, shape in [
        (5, 4, 2, (20, 23)),
        (6, 6, 2, (21, 30)),
        (4, 6, 3, (19, 22)),
        (3, 4, 4, (12, 17)),
    ]:
        found.append(
            (
                Pooled(size, f, (f // step) ** 2),
                rng.integers(0, 9, shape).astype(float),
                f,
                step,
            )
        )
    return found


def expected(net, x, f, step):
    return net.at_every_pixel(x)[::step, ::step]


def _placed(net, x, f, step, shifts, order):
    dense = expected(net, x, f, step) * np.nan
    every, n = net.at_every_pixel(x), f // step
    for a, shift_a in zip(order, shifts):
        for b, shift_b in zip(order, shifts):
            place, y = dense[a::n, b::n], every[shift_a::f, shift_b::f]
            place[: len(y), : y.shape[1]] = y[: len(place), : place.shape[1]]
    return dense


def _first_shifts(net, x, f, step):
    return _placed(net, x, f, step, range(f // step), range(f // step))


def _reversed(net, x, f, step):
    shifts = range(0, f, step)
    return _placed(net, x, f, step, shifts, [-k % len(shifts) for k in range(len(shifts))])


def _every_pixel(net, x, f, step):
    return net.at_every_pixel(x)


def _first_shifts_all(net, x, f, step):
    n, every = f // step, net.at_every_pixel(x)
    passes = {(a, b): every[a::f, b::f] for a in range(n) for b in range(n)}
    rows = sum(len(passes[a, 0]) for a in range(n))
    dense = np.empty((rows, sum(passes[0, b].shape[1] for b in range(n))))
    for (a, b), y in passes.items():
        dense[a::n, b::n] = y
    return dense


def _one_pass(net, x, f, step):
    return net.at_every_pixel(x)[::f, ::f]


MISTAKES = {
    "this is one pass: it answers at every f-th pixel. Interlace the passes that drop 0, step, ... pixels": _one_pass,
    "drop 0, step, 2 * step, ... pixels. If you drop 1, you get answers that nobody asked for": _first_shifts_all,
    "the passes drop 0, step, 2 * step, ... pixels; yours drop 0, 1, 2, ...": _first_shifts,
    "the wrong order: the pass that drops a pixels belongs to place a / step of each block": _reversed,
    "this is the answer at every pixel; only every step-th is asked for": _every_pixel,
}
