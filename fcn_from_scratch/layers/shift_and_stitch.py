"""Shift-and-stitch: run a net of output stride f on f*f shifted images, and interlace the coarse maps."""

import math
from itertools import product

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.layers.container import Container, Sequential
from fcn_from_scratch.layers.window import in_short

FORMS = ("drop", "shift")


class ShiftAndStitch(Container):
    """Compute the net's output at every pixel, not only at every f-th: interlace f*f passes over shifted images.

    form "drop"     drop the first a rows and b columns:   y[n, c, f*i + a, f*j + b] = net(x[:, :, a:, b:])[n, c, i, j]
    form "shift"    the paper's form: move the image a down and b to the right, with zeros above and to the left:
                    y[n, c, f*i - a, f*j - b] = net(shifted)[n, c, i, j]; outputs before row or column 0 are discarded

    for 0 <= a, b < f. Both forms read the same windows: y[i, j] is the net's output for its own window, and the windows
    move by single pixels. For a net with padding this holds if the window lies inside the image. For "drop" the window
    must lie inside the part of the image that is left, because the pass sees padding in place of the dropped rows and
    columns. So the border is narrower in the paper's form.
    net     a layer that maps (N, C, H, W) to (N, C', h, w), or a list of layers. Its parameters have names that begin
            with "net."
    stride  f, the output stride of the net, an integer or a pair. A layer knows no geometry, so a wrong stride is not
            always noticed. dense.shift_and_stitch takes the stride from the net
    Cost: f*f passes. Backward runs each pass forward again, with the same random numbers, so that the caches of only
    one pass exist at a time. This is a third more work, for 1 / (f*f) of the memory. The parameters must not change
    between forward and backward.
    Shapes: an unpadded net with receptive field r gives y (N, C', H - r + 1, W - r + 1).
    Identity: equals dense.rarefy(net) on unpadded nets; vjp_check  (tests/layers/test_shift_and_stitch.py).
    Raises: ValueError when the outputs of the passes do not interlace: if f is not the net's stride, if the net
    upsamples, or, in form "drop", if the image is so small that nothing is left of it for the last passes while
    padding gives the first pass a second output. Also every error that the net raises for x itself.
    Source: Long et al. 2015, section 3.2. Lesson 7.
    """

    def __init__(self, net, stride, form="drop", *, name=None):
        net = Sequential(*net) if isinstance(net, (list, tuple)) else net
        super().__init__({"net": net}, name)
        self.net = net
        self.stride = checks.pair(stride, "stride", 1)
        self.form = checks.choice(form, "form", FORMS)

    @property
    def kind(self):
        return "shift-and-stitch" + ("" if self.stride == (1, 1) else f" /{in_short(self.stride)}")

    def _forward(self, x):
        passes, outputs = [], {}
        for shift, state, y in run_passes(self.net, x, self.stride, self.form):
            outputs[shift] = y
            passes.append((shift, state, y.shape))
        return interlace(outputs, self.stride, self.form), (x, passes)

    def _backward(self, dy, cache):
        x, _ = cache
        dx = get_array_module(x).zeros(x.shape, dy.dtype)
        for shift, dout in self._passes_again(dy):
            dshifted = self.net.backward(dout)
            if self.form == "drop":
                dx[:, :, shift[0] :, shift[1] :] += dshifted
            else:
                dx += dshifted[:, :, shift[0] :, shift[1] :]
        return dx

    def backward_params(self, dy):
        for _, dout in self._passes_again(dy):
            self.net.backward_params(dout)

    def _passes_again(self, dy):
        """For each pass: run the net forward again, and yield the shift and the gradient of that pass's output."""
        x, passes = self.kept(dy)
        now = _states(self.net)
        for shift, state, shape in passes:
            _rewind(self.net, state)
            self.net(shifted(x, shift, self.form))
            places, kept = _places(shift, self.stride, self.form)
            dout = get_array_module(dy).zeros(shape, dy.dtype)
            dout[kept] = dy[places]
            yield shift, dout
        _rewind(self.net, now)


def stitch(net, x, stride, form="drop"):
    """Compute the same as ShiftAndStitch, for anything that can be called with x. Nothing is kept for backward."""
    stride = checks.pair(stride, "stride", 1)
    checks.choice(form, "form", FORMS)
    return interlace({shift: y for shift, _, y in run_passes(net, x, stride, form)}, stride, form)


def run_passes(net, x, stride, form):
    """Yield (shift, the state of the net's random generators before the pass, the pass's output) for each shift.

    Without its first rows an image may be too small for the net. Such a pass has no output and is left out. The first
    pass sees the whole image, so every other error of the net is raised there.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    for shift in product(*map(range, stride)):
        state = _states(net)
        try:
            y = net(shifted(x, shift, form))
        except ValueError:
            if shift == (0, 0):
                raise
            continue
        checks.ndim(y, 4, "the output of the net, a map,", "(N, C, h, w)")
        yield shift, state, y


def shifted(x, shift, form="drop"):
    """The image of one pass: without its first rows and columns, or with as many rows and columns of zeros in front."""
    down, right = shift
    if form == "drop":
        return x[:, :, down:, right:]
    n, c, h, w = x.shape
    canvas = get_array_module(x).zeros((n, c, h + down, w + right), x.dtype)
    canvas[:, :, down:, right:] = x
    return canvas


def interlace(outputs, stride, form="drop"):
    """Put the outputs of all passes, a dict shift -> (N, C, h, w), in their places on the fine grid."""
    height, width = interlaced_size({shift: y.shape[2:] for shift, y in outputs.items()}, stride, form)
    whole = outputs[0, 0]
    n, c = whole.shape[:2]
    xp, on_gpu = get_array_module(whole), kernels.usable(*outputs.values())
    dense = xp.empty((n, height, width, c) if on_gpu else (n, c, height, width), whole.dtype)
    if on_gpu:
        dense = channels_first(dense)
    for shift, y in outputs.items():
        places, kept = _places(shift, stride, form)
        if on_gpu:
            starts = [place.start for place in places[1:]]
            kernels.interlace(channels_last(y[kept]), channels_last(dense), stride, starts)
        else:
            dense[places] = y[kept]
    return dense


def interlaced_size(sizes, stride, form="drop"):
    """The size (H, W) of the fine grid, from the sizes of the passes' outputs, a dict shift -> (h, w).

    Raises: ValueError when a place of the grid stays empty, or an output has no place.
    """
    laid = {}
    for shift, size in sizes.items():
        (_, *places), (_, *kept) = _places(shift, stride, form)
        laid[shift] = places, _lengths(size, kept)
    height = sum(h for (_, right), (_, (h, _)) in laid.items() if right == 0)
    width = sum(w for (down, _), (_, (_, w)) in laid.items() if down == 0)
    for shift, (places, size) in laid.items():
        if _lengths((height, width), places) != size:
            without = math.prod(stride) - len(sizes)
            raise ValueError(
                f"the passes do not interlace: on {height}x{width} pixels the one shifted by {shift} has "
                f"{size[0]}x{size[1]} outputs. Is {stride} the output stride of the net?"
                + (_too_small(without, form) if without else "")
            )
    return height, width


def _too_small(without, form):
    hint = ' In form "drop" nothing is left of a small image for the last passes; form "shift" has all of them.'
    return f" Is the image large enough? Passes without an output: {without}.{hint * (form == 'drop')}"


def _places(shift, stride, form):
    """Where the outputs of a pass go on the fine grid, and which of them are kept: two indices of (N, C, H, W)."""
    if form == "drop":
        return (..., *(slice(k, None, f) for k, f in zip(shift, stride))), (..., slice(None), slice(None))
    places = (..., *(slice(-k % f, None, f) for k, f in zip(shift, stride)))
    return places, (..., *(slice(int(k > 0), None) for k in shift))


def _lengths(sizes, slices):
    """The number of places that each slice selects on its axis."""
    return tuple(len(range(n)[cut]) for n, cut in zip(sizes, slices))


def _states(net):
    """The state of every random generator the net draws from."""
    generators = net.generators() if hasattr(net, "generators") else {}
    return {name: generator.bit_generator.state for name, generator in generators.items()}


def _rewind(net, states):
    generators = net.generators() if states else {}
    for name, state in states.items():
        generators[name].bit_generator.state = state
