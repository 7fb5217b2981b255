"""A net as a plain chain of layers, and the making of a second chain with the same weights."""

import copy

from fcn_from_scratch.layers import Sequential


def chain(net):
    """The net's layers in order, as a dict name -> layer. Layers of inner chains are listed under dotted names.

    net  a Sequential, a list of layers, or a segmentation network, which counts as its layers from the image to the
         coarsest scores (its `coarse_path`)
    Raises: ValueError for anything else, and if two layers have one name.
    """
    if hasattr(net, "coarse_path"):
        net = net.coarse_path
    if isinstance(net, (list, tuple)):
        named = [(layer.name or str(number), layer) for number, layer in enumerate(net)]
    elif isinstance(net, Sequential):
        named = net.children.items()
    else:
        raise ValueError(f"net must be a chain of layers, a Sequential or a list; got {type(net).__name__}")
    layers = {}
    for name, layer in named:
        inner = chain(layer) if isinstance(layer, Sequential) else {"": layer}
        for key, value in inner.items():
            full = f"{name}.{key}".rstrip(".")
            if full in layers:
                raise ValueError(f"the layers of a chain must have different names; {full!r} occurs twice")
            layers[full] = value
    return layers


def share_weights(layer, name, bound=True):
    """A second layer with the same parameters and gradients and its own cache.

    bound   True: both layers have the same `params` and `grads` dicts, and go on sharing when either is moved or
            converted. False: each has its own dicts, which hold the same arrays; moving or converting ends the sharing
    """
    other = copy.copy(layer)
    other.name = name
    if not bound:
        other._params, other._grads = dict(layer.params), dict(layer.grads)
    return other.eval().train(layer.training)  # eval drops what the layer's last forward kept


def rebuild(net, layers):
    """A Sequential of the layers, with the net's name, mode and preprocessing."""
    new = Sequential(*layers, name=getattr(net, "name", None))
    new.training = getattr(net, "training", True)
    if hasattr(net, "transform"):
        new.transform, new.told = net.transform, getattr(net, "told", None)  # told: see weights/network_input.py
    return new
