"""A net as a plain chain of layers, and the making of a second chain with the same weights."""

import copy

from fcn_from_scratch.geometry.graph import along, named
from fcn_from_scratch.layers import Branches, Sequential
from fcn_from_scratch.layers.container import has_known_forward


def chain(net):
    """The net's layers in order, as a dict name -> layer. Layers of inner chains are listed under dotted names.

    Branches count as one layer: their chains are `chain(branch)` for each of `layer.branches`.
    net  a Sequential, a list of layers, Branches, or a segmentation network, which counts as its layers from the image
         to the coarsest scores (its `coarse_path`)
    Raises: ValueError for anything else, for a chain that runs its layers in a way of its own, for a network of several
    streams, and if two layers have one name.
    """
    layers = {}
    for name, layer in _named(net):
        inner = chain(layer) if isinstance(layer, (Sequential, list, tuple)) else {"": layer}
        for key, value in inner.items():
            full = f"{name}.{key}".rstrip(".")
            if full in layers:
                raise ValueError(f"the layers of a chain must have different names; {full!r} occurs twice")
            layers[full] = value
    return layers


def _named(net):
    """The (name, layer) pairs of a net, in order."""
    if hasattr(net, "coarse_path"):
        _has_one_stream(net)
        net = net.coarse_path
    if isinstance(net, Branches):
        return [(net.name or type(net).__name__, net)]
    if isinstance(net, (list, tuple)):
        return named(net)
    if not isinstance(net, Sequential):
        raise ValueError(f"net must be a chain of layers, a Sequential or a list; got {type(net).__name__}")
    _runs_as_declared(net)
    return net.children.items()


def _has_one_stream(net):
    """Check that the coarse path is all that leads from the image to the coarsest scores."""
    known = {node.name for node in along(net.coarse_path)}
    found = net.graph() if hasattr(net, "graph") else []
    others = [node.name for node in found if node.sources[0] == "image" and node.name not in known]
    if others:
        raise ValueError(
            f"{net.label} reads the image in several streams, {', '.join(others)} among them, and is no chain of "
            "layers. Pass one stream, a list of layers"
        )


def _runs_as_declared(net):
    """Check that a user's subclass of Sequential or Branches has not its own forward: what that does is not known."""
    if not has_known_forward(net):
        raise ValueError(
            f"{net.label} has a forward of its own, so its layers are no plain chain, and what they compute together "
            "is not known here"
        )


def share_weights(layer, name, bound=True):
    """A second layer with the same parameters and gradients and its own cache.

    bound   True: both layers have the same `params` and `grads` dicts, and go on sharing when either is moved or
            converted. False: each has its own dicts, which hold the same arrays; moving or converting ends the sharing
    Branches become new Branches whose layers share their weights in this way.
    """
    if isinstance(layer, Branches):
        return branches_of(layer, name, lambda branch: _shared(branch, bound))
    other = copy.copy(layer)
    other.name = name
    if not bound:
        other._params, other._grads = dict(layer.params), dict(layer.grads)
    return other.eval().train(layer.training)  # eval drops what the layer's last forward kept


def _shared(branch, bound):
    return [share_weights(layer, key, bound) for key, layer in chain(branch).items()]


def branches_of(module, name, twin):
    """Branches like `module`, whose chains are the lists of layers twin(branch). They have the module's mode."""
    _runs_as_declared(module)
    new = Branches(*map(twin, module.branches), name=name)
    new.training = new.output.training = module.training
    return new


def rebuild(net, layers):
    """A Sequential of the layers, with the net's name and preprocessing, in training mode if one of them is."""
    new = Sequential(*layers, name=getattr(net, "name", None))
    new.training = any(layer.training for layer in layers) if layers else getattr(net, "training", True)
    if hasattr(net, "transform"):
        new.transform, new.told = net.transform, getattr(net, "told", None)  # told: see weights/network_input.py
    return new
