"""How large every map is, and which images a network can take. This is arithmetic; no arrays are made.

A size fits under two conditions. No map may vanish. Every map that is cropped must cover its reference: it has at least
the offset plus the reference's size. The offset is a property of the layers. The sizes come from the image and are
rounded at each pool.
"""

import operator
from itertools import product
from typing import NamedTuple

from fcn_from_scratch import layers
from fcn_from_scratch.checks import pair
from fcn_from_scratch.geometry.fields import crop_offset
from fcn_from_scratch.geometry.graph import entries, graph, grids, with_padding, with_rounding
from fcn_from_scratch.layers.shift_and_stitch import interlaced_size

LARGEST = 1499  # pixels: sizes up to here are tried when a network is asked for "every size"


class Map(NamedTuple):
    """The output of a layer: its channels and its size (H, W). A vector is a map of one pixel."""

    channels: int
    size: tuple

    @property
    def shape(self):
        """(C, H, W)."""
        return self.channels, *self.size


def map_sizes(net, size, *, pad=None, ceil_mode=None):
    """The Map of the image and of every layer, as a dict by name, for an image of `size` pixels.

    size       an integer or a pair (H, W)
    pad        the padding of the first convolution, an integer or a pair; None keeps the network's own
    ceil_mode  True or False: all pools round up or down; None keeps the network's own rounding
    Raises: ValueError at the first map that vanishes or does not cover its reference; it gives both sizes.
    """
    found = _variant(net, pad, ceil_mode)
    return _walk(found, _offsets(found), _image(found, size))


def fits(net, size, *, pad=None, ceil_mode=None):
    """Can the network take an image of this size? `map_sizes` says why not."""
    return bool(sizes_that_fit(net, [size], pad=pad, ceil_mode=ceil_mode))


def sizes_that_fit(net, sizes=range(1, LARGEST + 1), *, pad=None, ceil_mode=None):
    """The sizes, among the given integers or pairs, that the network can take.

    Rows and columns are independent: each side of a pair must fit.
    """
    found = _variant(net, pad, ceil_mode)
    try:
        offsets = _offsets(found)
    except ValueError:  # the grids do not align at all
        return []
    return [size for size in sizes if not _misfit(found, offsets, pair(size, "size", 1))]


def smallest_pad(net, sizes=range(1, LARGEST + 1), *, ceil_mode=None, largest=200):
    """The smallest padding of the first convolution, up to `largest`, with which all of the sizes fit, or None.

    It is 97 for FCN-32s, 16s and 8s, whose public code has 100. With 96 an image of one pixel leaves fc6 no whole
    window. Below 81 the scores of FCN-32s start inside the image, whatever its size (tests/geometry/test_sizes.py).
    Source: FCN's public networks. Lesson 6.
    """
    sizes = list(sizes)
    for pad in range(largest + 1):
        found = _variant(net, pad, ceil_mode)
        try:
            offsets = _offsets(found)
        except ValueError:
            continue
        if not any(_misfit(found, offsets, pair(size, "size", 1)) for size in sizes):
            return pad
    return None


def _variant(net, pad, ceil_mode):
    found = graph(net)
    if pad is not None:
        found = with_padding(found, pad)
    if ceil_mode is not None:
        found = with_rounding(found, ceil_mode)
    return found


def _offsets(nodes):
    """The (vertical, horizontal) crop offset of each node that crops one map to another, as a dict by name."""
    fields, found = grids(nodes), {}
    for node in nodes:
        if node.crops:
            cut, reference = (fields[source] for source in cropped(node))
            found[node.name] = pair(crop_offset(cut, reference), "offset", None)
    return found


def cropped(node):
    """The names of two maps of a node that crops: (the map that is cropped, the map to which it is cropped)."""
    first, second = node.sources
    return (second, first) if isinstance(node.layer, layers.SkipFusion) else (first, second)


def _misfit(nodes, offsets, size):
    try:
        _walk(nodes, offsets, _image(nodes, size))
    except ValueError:
        return True
    return False


def _walk(nodes, offsets, image):
    maps = {"image": image}
    for node in nodes:
        name, layer, sources = node
        if node.crops:
            cut, reference = cropped(node)
            across = zip(maps[cut].size, maps[reference].size, offsets[name])
            out = tuple(_joined_size(name, layer, cut, reference, *numbers) for numbers in across)
            maps[name] = Map(maps[sources[0]].channels, out)
        elif layer.joins:
            maps[name] = _together(name, layer, {source: maps[source] for source in sources})
        else:
            maps[name] = _after(name, layer, [maps[source] for source in sources])
    return maps


def _together(name, layer, before):
    """The output of a layer that joins maps, such as Concat or Sum. They must have one size."""
    if len({found.size for found in before.values()}) > 1:
        each = ", ".join(f"{source} {found.size[0]}x{found.size[1]}" for source, found in before.items())
        raise ValueError(f"{name} joins maps of equal size; got {each}")
    return _map(layer, before.values())


def passes(layer, before):
    """Yield (shift, maps) for each pass of ShiftAndStitch that has an output, with maps as map_sizes gives them.

    A pass that drops the whole image has no output, even if padding alone would be enough for a window.
    """
    found = graph(layer.net)
    offsets = _offsets(found)
    for shift in product(*map(range, layer.stride)):
        read = before._replace(size=tuple(n - k if layer.form == "drop" else n + k for n, k in zip(before.size, shift)))
        if min(read.size) < 1:
            continue
        try:
            maps = _walk(found, offsets, read)
        except ValueError:
            if shift == (0, 0):
                raise
            continue
        yield shift, maps


def _stitched(layer, before):
    """The output of ShiftAndStitch: the outputs of all passes, interlaced."""
    made = {shift: list(maps.values())[-1] for shift, maps in passes(layer, before)}
    sizes = {shift: found.size for shift, found in made.items()}
    return Map(made[0, 0].channels, interlaced_size(sizes, layer.stride, layer.form))


def _after(name, layer, before):
    if isinstance(layer, layers.ShiftAndStitch):
        return _stitched(layer, *before)
    out = _map(layer, before)
    if min(out.size) < 1:
        height, width = before[0].size
        raise ValueError(f"{name}: its input is {height}x{width}, which is too small: its output would be empty")
    return out


def _map(layer, before):
    """The Map that a layer's output_shape declares for the maps that it reads."""
    shape = layer.output_shape(*(found.shape for found in before))
    try:
        channels, height, width = map(operator.index, shape)
    except (TypeError, ValueError):
        raise ValueError(f"{layer.label}.output_shape must return three integers, (C, H, W); got {shape!r}") from None
    return Map(channels, (height, width))


def _joined_size(name, layer, cut, reference, have, wanted, offset):
    """The size of two joined maps along one axis. `cut` loses its first `offset` cells and the surplus at its end.

    When a skip starts later than the scores (offset < 0), the scores are cropped to the skip's size instead. When both
    start together, the longer one is cropped.
    """
    if offset == 0 and isinstance(layer, layers.SkipFusion):
        return min(have, wanted)
    if offset < 0 and isinstance(layer, layers.SkipFusion):
        cut, reference, have, wanted, offset = reference, cut, wanted, have, -offset
    if offset < 0:
        raise ValueError(f"{name}: {cut} starts {-offset} pixels after {reference} and cannot cover it")
    if have < offset + wanted:
        raise ValueError(
            f"{name}: {cut} is too small: it has {have} cells, but {reference} needs {wanted} from cell {offset} on"
        )
    return wanted


def _image(nodes, size):
    """The image's Map. Its channels are those that the convolutions reading it expect, added up; 1 if there is none."""
    return Map(sum(node.layer.in_channels for node in entries(nodes)) or 1, pair(size, "size", 1))
