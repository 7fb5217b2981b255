"""Which pixels an output sees, where it lies, and what a layer costs. All of it follows from sizes; nothing is run.

fields    receptive field, stride, start; the crops that follow from them
graph     any network as a list of layers and the maps they read
sizes     how large every map is; which images fit, and with which padding
table     a row for each layer: field, size, multiply-adds, parameters, memory
crops     a crop offset in words
measured  receptive fields measured by gradients: the theoretical and the effective one
"""

from fcn_from_scratch.geometry.crops import explain_crop, explain_crops
from fcn_from_scratch.geometry.fields import IMAGE, Axis, ReceptiveField, crop_offset, joint, overlap, receptive_field
from fcn_from_scratch.geometry.graph import Node, along, graph, grids
from fcn_from_scratch.geometry.measured import (
    EffectiveField,
    effective_receptive_field,
    measured_receptive_field,
)
from fcn_from_scratch.geometry.sizes import Map, fits, map_sizes, sizes_that_fit, smallest_pad
from fcn_from_scratch.geometry.table import Row, Table, table

__all__ = [
    "IMAGE",
    "Axis",
    "EffectiveField",
    "Map",
    "Node",
    "ReceptiveField",
    "Row",
    "Table",
    "along",
    "crop_offset",
    "effective_receptive_field",
    "explain_crop",
    "explain_crops",
    "fits",
    "graph",
    "grids",
    "joint",
    "map_sizes",
    "measured_receptive_field",
    "overlap",
    "receptive_field",
    "sizes_that_fit",
    "smallest_pad",
    "table",
]
