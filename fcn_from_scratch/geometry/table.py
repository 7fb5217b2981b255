"""What every layer of a network sees, makes and costs: a row for each layer, and the totals."""

import math
import numbers
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import layers
from fcn_from_scratch.checks import pair
from fcn_from_scratch.geometry.fields import ReceptiveField
from fcn_from_scratch.geometry.graph import graph, grids
from fcn_from_scratch.geometry.sizes import map_sizes, passes


class Row(NamedTuple):
    """One layer.

    kind           what it is, in short: "conv 3x3"
    channels       the channels of its output
    size           the size (H, W) of its output
    field          its output's ReceptiveField: size, stride, start; None for a vector
    multiply_adds  the number of multiply-adds for one image
    parameters     the number of its parameters
    bytes          the memory of its output for one image; 0 for ReLU, dropout and crops, which make no map of their own
    """

    name: str
    kind: str
    channels: int
    size: tuple
    field: ReceptiveField | None
    multiply_adds: int
    parameters: int
    bytes: int


class Table(NamedTuple):
    """The rows of a network for one image of `size` (H, W). str(table) is the table as text, with totals."""

    size: tuple
    rows: list

    @property
    def multiply_adds(self):
        """Multiply-adds of one forward. A backward takes twice as many, for dx and for the weights' gradients."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def parameters(self):
        return sum(row.parameters for row in self.rows)

    @property
    def activation_bytes(self):
        """The memory of all maps of one forward. Training keeps them all, and the pools' indices besides."""
        return sum(row.bytes for row in self.rows)

    def row(self, name):
        """The row of the layer with this name."""
        return {row.name: row for row in self.rows}[name]

    def __str__(self):
        return _text(self)


def table(net, size, dtype=np.float32):
    """Make the Table of a network for an image of `size`.

    net     a layer, a list of layers, a Sequential or a model
    size    in pixels, an integer or a pair (H, W)
    dtype   the dtype of the maps, for their memory
    Multiply-adds are counted by the definition of each layer. A convolution needs kh*kw*C/groups for every number of
    its output. A transposed convolution needs kh*kw*O for every number of its input, and fixed bilinear upsampling
    kh*kw. ShiftAndStitch needs those of its net in every pass. Comparisons, additions and copies are not counted.
    Raises: ValueError when the size does not fit (see geometry.map_sizes). Lesson 6.
    """
    found = graph(net)
    fields, maps = grids(found), map_sizes(net, size)
    rows = []
    for name, layer, sources in found:
        out, before = maps[name], [maps[source] for source in sources]
        size_of_y = 0 if layer.in_place else math.prod(out.shape)
        if isinstance(layer, layers.SkipFusion):  # it scores the whole skip, then crops
            size_of_y += math.prod(layer.score.output_shape(before[1].shape))
        rows.append(
            Row(
                name,
                layer.kind,
                *out,
                fields[name],
                _multiply_adds(layer, before),
                sum(array.size for array in layer.params.values()),
                size_of_y * np.dtype(dtype).itemsize,
            )
        )
    return Table(pair(size, "size", 1), rows)


def _multiply_adds(layer, before):
    if isinstance(layer, layers.ShiftAndStitch):
        net = graph(layer.net)
        return sum(
            _multiply_adds(node.layer, [maps[source] for source in node.sources])
            for _, maps in passes(layer, before[0])
            for node in net
        )
    number = layer.multiply_adds(*(found.shape for found in before))
    if not isinstance(number, numbers.Real):
        raise ValueError(f"{layer.label}.multiply_adds must return a number; got {number!r}")
    return number


# --- as text ------------------------------------------------------------------------------------------------------


HEADINGS = ("layer", "", "channels", "size", "field", "stride", "start", "multiply-adds", "parameters", "memory")


def _text(found):
    """The table as text, right-aligned from the third column on. ReLU and dropout are left out: they change nothing."""
    lines = [HEADINGS]
    for row in found.rows:
        if row.kind not in ("relu", "dropout"):
            lines.append(_words(row))
    totals = (count(found.multiply_adds), f"{found.parameters:,}", memory(found.activation_bytes))
    lines.append(("total", *[""] * 6, *totals))
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(f"{word:{'<' if column < 2 else '>'}{widths[column]}}" for column, word in enumerate(line)).rstrip()
        for line in lines
    )


def _words(row):
    place = ["-"] * 3 if row.field is None else [_number(value) for value in row.field]
    return (
        row.name,
        row.kind,
        str(row.channels),
        f"{row.size[0]}x{row.size[1]}",
        *place,
        count(row.multiply_adds) if row.multiply_adds else "",
        f"{row.parameters:,}" if row.parameters else "",
        memory(row.bytes) if row.bytes else "",
    )


def _number(value):
    return ",".join(map(_number, value)) if isinstance(value, tuple) else f"{value:g}"


def count(number):
    """A large number in short form: 181 G, 4.2 M."""
    return _short(number, 1000, ("", " k", " M", " G", " T"))


def memory(number):
    """A number of bytes in short form: 29.7 MiB."""
    return _short(number, 1024, (" B", " KiB", " MiB", " GiB"))


def _short(number, base, units):
    """Three significant digits and a unit, or four where the number in front of the unit is 1000 or more."""
    power = 0
    while power < len(units) - 1 and number >= base ** (power + 1):
        power += 1
    value = number / base**power
    return f"{value:.0f}{units[power]}" if value >= 99.95 else f"{value:.3g}{units[power]}"
