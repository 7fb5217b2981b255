"""Receptive fields measured by gradients. No recurrence is used, only the gradient that backward gives for the image.

There are two questions. Which pixels CAN an output see? They are the pixels whose gradient is not zero when all weights
are positive, so that nothing cancels: the theoretical field. Which pixels DOES it use? They are the pixels whose
gradient is large with the network's own weights: the effective field, which is smaller (Luo et al. 2016).
"""

from copy import copy, deepcopy
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks, layers, ops
from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.geometry.fields import Axis, ReceptiveField
from fcn_from_scratch.geometry.graph import graph, grids
from fcn_from_scratch.layers.window import declared_window


def measured_receptive_field(net):
    """Measure the theoretical field: size, stride and start, from the pixels that two cells' gradients reach.

    Each window is replaced by a probe, a convolution of one channel with the same kernel size, stride, padding and
    dilation and with positive weights. (A max-pool's gradient reaches only one pixel of its window, though the output
    depends on all of them.) A window is the product of a vertical and a horizontal one, so a line of pixels is enough
    for each axis. The line is doubled until neither cell sees its ends.
    net   a layer, a list of layers, a Sequential, Branches or a model, which counts as its layers up to the coarsest
          scores. Where branches meet, their gradients add up
    Identity: measured_receptive_field(net) == receptive_field(net)  (tests/geometry/test_measured.py)
    Raises: ValueError at a layer that works neither by windows nor pixel by pixel, and for branches whose outputs do
    not lie in the same places. Lesson 6.
    """
    nodes = _nodes(net)
    return ReceptiveField(_measured_axis(nodes, axis) for axis in (0, 1))


class EffectiveField(NamedTuple):
    """How far an output looks.

    size         the side of the smallest square around the cell's centre that holds `share` of the energy
    theoretical  the side of the theoretical field
    energy       (H, W): the mean squared gradient of each pixel of the theoretical field, scaled to the sum 1
    """

    size: int
    theoretical: int
    energy: np.ndarray


def effective_receptive_field(net, images, share=0.95, rng=None):
    """Measure how far an output looks: where the squared gradient of one cell lies, with the net's own weights.

    images   (N, C, H, W), so large that the cell's whole field lies inside
    rng      draws the sign with which each channel of the cell counts; by default from a fixed seed
    The cell nearest to the middle is measured. The N images are averaged. Dropout is left out. A score layer that is
    still zero would give a zero gradient, so it is skipped; this moves nothing when the layer is 1x1.
    Returns: EffectiveField. Nothing is added to `grads`.
    Raises: ValueError when the images are too small, or when no gradient arrives. Lesson 6.
    Source: Luo, Li, Urtasun, Zemel 2016, Understanding the effective receptive field.
    """
    checks.ndim(images, 4, "images", "(N, C, H, W)")
    rng = np.random.default_rng(0) if rng is None else rng
    nodes = _nodes(net)
    while nodes and isinstance(nodes[-1].layer, layers.Conv2d) and not nodes[-1].layer.params["weight"].any():
        nodes = nodes[:-1]
    maps = {"image": images}
    for name, layer, sources in nodes:
        maps[name] = _forward(layer, [maps[source] for source in sources])
    last = next(reversed(maps))
    field, y = grids(nodes)[last], maps[last]
    cell = [round(((n - 1) / 2 - a.start) / a.stride) for n, a in zip(images.shape[2:], field.axes)]
    inside = _inside(field, cell, images.shape[2:])
    xp = get_array_module(y)
    dy = xp.zeros_like(y)
    dy[:, :, cell[0], cell[1]] = xp.asarray(rng.choice([-1.0, 1.0], size=y.shape[:2]))
    dx = _image_gradient(nodes, dy, lambda node, dy: _input_gradients(node, maps, dy))
    energy = (to_numpy(dx).astype(np.float64) ** 2).sum(axis=(0, 1))[inside]
    if not energy.sum() > 0:
        raise ValueError("no gradient arrives at the image: some layer on the way is zero")
    return _concentration(energy / energy.sum(), share)


def _nodes(net):
    """The nodes from the image to the coarsest scores. Those that read several maps join them."""
    nodes = graph(getattr(net, "coarse_path", net))
    for _, layer, sources in nodes:
        window = declared_window(layer) if len(sources) == 1 else None
        if not layer.joins and (window is None or window.transposed or min(window.padding) < 0):
            raise ValueError(
                f"a receptive field is measured through convolutions, pools and the like; {layer.label} is not one"
            )
    grids(nodes)  # refuses branches that end in different places
    return nodes


def _image_gradient(nodes, dy, backward):
    """Take the gradient of the last map back to the image. backward(node, dy) gives one for each map the node reads.

    A map that several nodes read gets the sum of their gradients.
    """
    gradients = {nodes[-1].name if nodes else "image": dy}
    for node in reversed(nodes):
        for source, dx in zip(node.sources, backward(node, gradients.pop(node.name))):
            gradients[source] = gradients[source] + dx if source in gradients else dx
    return gradients["image"]


# --- the theoretical field ----------------------------------------------------------------------------------------


def _measured_axis(nodes, axis):
    """Size, stride and start along one axis, from two neighbouring cells whose fields both lie inside the line.

    A field has holes where a stride is larger than the next kernel. So a field that the line cuts off need not reach
    the line's end. No hole is wider than the product of all strides and the largest dilation, so the fields must keep
    this distance from the ends.
    """
    probes = {node.name: _probe(node.layer, axis) for node in nodes if not (node.layer.pointwise or node.layer.joins)}
    margin = _total_stride(nodes, probes) * max([probe.dilation[0] for probe in probes.values()], default=1)
    length, seen = 4 * margin, None
    while seen is None:
        length *= 2
        seen = _two_supports(nodes, probes, length, margin)
    cell, (first, last), (next_first, next_last) = seen
    stride = Fraction(next_first + next_last - first - last, 2)
    return Axis(Fraction(last - first + 1), stride, Fraction(first + last, 2) - stride * cell)


def _total_stride(nodes, probes):
    """The product of the strides from the image to the last map."""
    strides = {"image": 1}
    for name, _, sources in nodes:
        own = probes[name].stride[0] if name in probes else 1
        strides[name] = own * max(strides[source] for source in sources)
    return next(reversed(strides.values()))


def _probe(layer, axis):
    """The layer's window along one axis, as a vertical convolution of one channel with positive weights."""
    k, s, p, d = (pair[axis] for pair in layer.window[:4])
    probe = layers.Conv2d(1, 1, (k, 1), (s, 1), (p, 0), (d, 1), bias=False, dtype=np.float64)
    probe.params["weight"][...] = 1 / k
    return probe


def _two_supports(nodes, probes, length, margin):
    """The supports of two neighbouring cells in the middle of a line.

    Returns: (cell, its (first, last) pixel, the next cell's (first, last) pixel), or None when a support comes nearer
    to the line's ends than the margin.
    """
    y = _probed(nodes, probes, length)
    cell = -1 if y is None else y.shape[2] // 2 - 1
    if cell < 0:
        return None
    supports = []
    for number in (cell, cell + 1):
        dy = np.zeros_like(y)
        dy[:, :, number] = 1
        pixels = np.flatnonzero(_image_gradient(nodes, dy, lambda node, dy: _probe_gradients(node, probes, dy)))
        if not len(pixels) or pixels[0] < margin or pixels[-1] >= length - margin:
            return None
        supports.append((int(pixels[0]), int(pixels[-1])))
    return cell, *supports


def _probed(nodes, probes, length):
    """The last map for a line of ones. Maps that are joined are added. None when the line is too short for a probe."""
    maps = {"image": np.ones((1, 1, length, 1))}
    for name, _, sources in nodes:
        y, probe = sum(maps[source] for source in sources), probes.get(name)
        if probe is not None:
            if y.shape[2] + 2 * probe.padding[0] < ops.shapes.span(probe.kernel_size[0], probe.dilation[0]):
                return None
            y = probe(y)
        maps[name] = y
    return next(reversed(maps.values()))


def _probe_gradients(node, probes, dy):
    probe = probes.get(node.name)
    return [dy if probe is None else probe.backward(dy)] * len(node.sources)


# --- the effective field ------------------------------------------------------------------------------------------


def _forward(layer, maps):
    """The layer's output. A copy runs, so a training in progress is not disturbed."""
    return copy(layer).eval().forward(*maps)


def _input_gradients(node, maps, dy):
    """The gradient for each map that the node reads. The layer's own `grads` stay as they are."""
    layer, before = node.layer, [maps[source] for source in node.sources]
    if isinstance(layer, layers.Dropout):
        return [dy]
    if isinstance(layer, layers.Conv2d):
        knobs = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return [ops.conv2d_input_grad(dy, before[0].shape, layer.params["weight"], *knobs)]
    other = copy(layer).eval()
    if layer.params:  # backward adds to grads: to those of the copy
        other = deepcopy(other)
    other.train().forward(*before)
    dx = other.backward(dy)
    return dx if layer.joins else [dx]


def _inside(field, cell, size):
    """The cell's theoretical field as slices of the image. It must lie inside the image."""
    slices = []
    for axis, number, length in zip(field.axes, cell, size):
        first = int(axis.start + axis.stride * number - (axis.size - 1) / 2)
        last = first + int(axis.size) - 1
        if first < 0 or last >= length:
            raise ValueError(
                f"the images are too small: the cell in the middle sees pixels {first} to {last} of {length}, and its "
                "whole field must lie inside"
            )
        slices.append(slice(first, last + 1))
    return tuple(slices)


def _concentration(energy, share):
    """Find the smallest centred square that holds the share of the energy; it grows by a pixel on each side."""
    theoretical = max(energy.shape)
    for side in range(theoretical % 2 or 2, theoretical + 1, 2):
        top, left = ((n - min(side, n)) // 2 for n in energy.shape)
        if energy[top : energy.shape[0] - top, left : energy.shape[1] - left].sum() >= share:
            return EffectiveField(side, theoretical, energy)
    return EffectiveField(theoretical, theoretical, energy)
