"""A network as a list of nodes: which layer reads which maps. Sizes, costs and crops are found by walking along it."""

from copy import copy
from inspect import isclass
from typing import NamedTuple

from fcn_from_scratch import checks, layers
from fcn_from_scratch.geometry.fields import IMAGE, checked, joint, overlap, receptive_field
from fcn_from_scratch.layers.container import has_known_forward, is_chain
from fcn_from_scratch.layers.window import declared_window

# Containers with one input and one output, of which it is known how they run.
CHAINS = (layers.Sequential, layers.Branches, layers.ShiftAndStitch)


class Node(NamedTuple):
    """One layer at its place in the network.

    sources   the names of the maps that it reads; "image" is the network's input. A SkipFusion reads two maps: the
              coarse scores and the skip. An FCN's last Crop reads two: the scores, and the image, whose size they get.
              A MaxUnpool2d reads three: the coarse map, its pool's input, whose size it gets, and its pool's output.
              Concat and Sum read any number.
    """

    name: str
    layer: layers.Layer
    sources: tuple

    @property
    def crops(self):
        """Does the layer bring two maps to one grid by cropping one of them?"""
        return len(self.sources) == 2 and isinstance(self.layer, (layers.Crop, layers.SkipFusion))


def graph(net):
    """The nodes of a layer, a list of layers, a Sequential, or a network with a method `graph()`, which lists them.

    Any other model gives the nodes of its `coarse_path`, the layers up to its coarsest scores.
    Raises: ValueError for a network that has none of these.
    """
    if hasattr(net, "graph") and not isclass(net):
        return net.graph()
    path = getattr(net, "coarse_path", net)
    if isinstance(path, layers.Container) and not isinstance(path, CHAINS):
        raise ValueError(f"{path.label} does not say in which order its layers run: it has no coarse_path")
    return along(path)


def along(chain, source="image", prefix=""):
    """The nodes of a layer, a list of layers or a Sequential that reads the map `source`. Inner chains are opened.

    Names begin with `prefix`. They are joined by dots in a Sequential and by slashes in Branches, as the names of the
    parameters are.
    """
    found = []
    for name, layer in named(chain):
        name, before = prefix + name, found[-1].name if found else source
        if isinstance(layer, (list, tuple)) or is_chain(layer):
            found += along(layer, before, name + layers.Sequential.separator)
        elif isinstance(layer, layers.Branches) and has_known_forward(layer):
            found += _side_by_side(layer, before, name + layer.separator)
        else:
            found.append(Node(name, layer, (before,)))
    names = ["image", *(node.name for node in found)]
    if len(set(names)) < len(names):
        raise ValueError(
            f"the layers of a chain must have different names, none of them 'image'; got {', '.join(names[1:])}"
        )
    return found


def named(chain):
    """The (name, layer) pairs of a chain, in order. In a list, layers without a name and inner lists have numbers."""
    if is_chain(chain):
        return chain.children.items()
    if not isinstance(chain, (list, tuple)):
        return [(getattr(checked(chain), "name", None) or type(chain).__name__, chain)]
    each = [layer if isinstance(layer, (list, tuple)) else checked(layer) for layer in chain]
    return [(getattr(layer, "name", None) or str(number), layer) for number, layer in enumerate(each)]


def _side_by_side(branches, source, prefix):
    """The nodes of several chains that read one map, and of the layer that stacks their outputs."""
    chains = [along(branch, source, prefix) for branch in branches.branches]
    ends = tuple(chain[-1].name for chain in chains)
    return [*(node for chain in chains for node in chain), Node(prefix + "output", branches.output, ends)]


def entries(nodes):
    """The convolutions that read the image itself: the first one, or the first of each stream.

    A layer of your own counts as one if it has `in_channels` and a window that is not transposed.
    """
    seen, found = {"image"}, []
    for node in nodes:
        if seen.issuperset(node.sources):
            if _is_convolution(node.layer):
                found.append(node)
            else:
                seen.add(node.name)
    return found


def _is_convolution(layer):
    window = declared_window(layer)
    return hasattr(layer, "in_channels") and window is not None and not window.transposed


def with_padding(nodes, padding):
    """The same nodes, but the first convolution (of each stream) has another padding. The network is not changed."""
    padding = checks.pair(padding, "pad", 0)
    first = entries(nodes)
    if not first:
        raise ValueError("the network has no convolution whose padding could be changed")
    return [_changed(node, padding=padding) if node in first else node for node in nodes]


def with_rounding(nodes, ceil_mode):
    """The same nodes, but every pool rounds its size up (True) or down (False)."""
    return [_changed(node, ceil_mode=ceil_mode) if hasattr(node.layer, "ceil_mode") else node for node in nodes]


def grids(nodes):
    """The grid of the image and of each node's map, as a dict name -> ReceptiveField. A vector has no grid: None.

    The output of a node that crops one map to another lies where the two maps overlap.
    """
    fields = {"image": IMAGE}
    for node in nodes:
        before = [fields[source] for source in node.sources]
        if None in before or not node.layer.on_grid:
            fields[node.name] = None
        elif node.layer.joins:
            fields[node.name] = joint(before)
        else:
            fields[node.name] = overlap(*before) if node.crops else receptive_field(node.layer, before[0])
    return fields


def _changed(node, **attributes):
    """The node with a copy of its layer that has other hyper-parameters and shares the weights."""
    layer = copy(node.layer)
    for name, value in attributes.items():
        if not hasattr(layer, name):
            raise ValueError(f"{layer.label} has no {name} that could be changed")
        setattr(layer, name, value)
    return node._replace(layer=layer)
