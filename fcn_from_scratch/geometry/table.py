"""What every layer of a network sees, makes and costs: a row each, and the totals."""

import math
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
    channels, size of its output, size as (H, W)
    field          its output's ReceptiveField: size, stride, start; None for a vector
    multiply_adds  for one image; parameters, the numbers it learns
    bytes          of its output for one image; 0 for ReLU, dropout and crops, which make no map of their own
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
    """The rows of a network for one image of `size` (H, W). As text: the table with its totals."""

    size: tuple
    rows: list

    @property
    def multiply_adds(self):
        """Of one forward. A backward takes twice as many: one product for the input, one for the weights."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def parameters(self):
        return sum(row.parameters for row in self.rows)

    @property
    def activation_bytes(self):
        """All maps of one forward together, which is what training keeps; pool indices come on top."""
        return sum(row.bytes for row in self.rows)

    def row(self, name):
        """The row of the layer of that name."""
        return {row.name: row for row in self.rows}[name]

    def __str__(self):
        return _text(self)


def table(net, size, dtype=np.float32):
    """A Table of the network, a layer, list of layers, Sequential or model, for an image of `size`.

    size    pixels, an integer or a pair (H, W);  dtype, of the maps, for their memory
    Multiply-adds are counted by the definition of each layer: a convolution makes kh*kw*C/groups for every output
    number, a transposed convolution kh*kw*O for every input number, and fixed bilinear upsampling kh*kw. ShiftAndStitch
    makes those of its net in every pass. A comparison, an addition and a copy count nothing.
    Raises: ValueError when the size does not fit (see geometry.map_sizes). Lesson 6.
    """
    found = graph(net)
    fields, maps = grids(found), map_sizes(net, size)
    rows = []
    for name, layer, sources in found:
        out, before = maps[name], [maps[source] for source in sources]
        numbers = 0 if layer.in_place else math.prod(out.shape)
        if isinstance(layer, layers.SkipFusion):  # it scores the whole skip, then crops
            numbers += math.prod(layer.score.output_shape(before[1].shape))
        rows.append(
            Row(
                name,
                layer.kind,
                *out,
                fields[name],
                _multiply_adds(layer, before),
                sum(array.size for array in layer.params.values()),
                numbers * np.dtype(dtype).itemsize,
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
    return layer.multiply_adds(*(found.shape for found in before))


# --- as text ------------------------------------------------------------------------------------------------------


HEADINGS = ("layer", "", "channels", "size", "field", "stride", "start", "multiply-adds", "parameters", "memory")


def _text(found):
    """The table, right-aligned from the third column on. ReLU and dropout, which change nothing here, are left out."""
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
    """A large number in short: 181 G, 4.2 M."""
    return _short(number, 1000, ("", " k", " M", " G", " T"))


def memory(number):
    """Bytes in short: 29.7 MiB."""
    return _short(number, 1024, (" B", " KiB", " MiB", " GiB"))


def _short(number, base, units):
    """Three digits and a unit; four digits in front of the unit from 1000 on."""
    power = 0
    while power < len(units) - 1 and number >= base ** (power + 1):
        power += 1
    value = number / base**power
    return f"{value:.0f}{units[power]}" if value >= 99.95 else f"{value:.3g}{units[power]}"
