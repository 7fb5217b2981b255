"""A network as a list of steps: which layer reads which maps. Sizes, costs and crops are walks along it."""

from copy import copy
from typing import NamedTuple

from fcn_from_scratch import layers
from fcn_from_scratch.geometry.fields import IMAGE, overlap, receptive_field

# A ReLU's output has the size and the place of its input.
POINTWISE = (layers.ReLU, layers.Dropout, layers.LocalResponseNorm)


class Step(NamedTuple):
    """One layer at its place in the network.

    sources   the names of the maps it reads; "image" is the network's input. Two maps are read by a SkipFusion, the
              coarse scores and the skip, and by an FCN's last Crop, the scores and the image whose size they get.
    """

    name: str
    layer: layers.Layer
    sources: tuple


def steps(net):
    """The steps of a layer, a list of layers, a Sequential, or a segmentation network with its skips.

    Of a model that is neither a chain nor an FCN, its `coarse_path`: the way to its coarsest scores.
    Raises: ValueError for a network that says of itself none of these.
    """
    if hasattr(net, "skips"):
        return _fcn(net)
    path = getattr(net, "coarse_path", net)
    if isinstance(path, layers.Container) and not isinstance(path, layers.Sequential):
        raise ValueError(f"{path.label} does not say in which order its layers run: it has no coarse_path")
    return _chain(list(_named(path)))


def with_padding(steps, padding):
    """The same steps, the first convolution with another padding; the network itself stays as it is."""
    first = next((step for step in steps if isinstance(step.layer, layers.Conv2d)), None)
    if first is None:
        raise ValueError("the network has no convolution whose padding could be changed")
    return [_changed(step, padding=(padding, padding)) if step is first else step for step in steps]


def with_rounding(steps, ceil_mode):
    """The same steps, every pool rounding its size up (True) or down (False)."""
    pools = (layers.MaxPool2d, layers.AvgPool2d)
    return [_changed(step, ceil_mode=ceil_mode) if isinstance(step.layer, pools) else step for step in steps]


def grids(steps):
    """name -> ReceptiveField: the grid of the image and of each step's map. A vector stands nowhere: None.

    The output of a step with two sources lies where both of them are.
    """
    fields = {"image": IMAGE}
    for name, layer, sources in steps:
        before = [fields[source] for source in sources]
        if None in before or isinstance(layer, (layers.Flatten, layers.Linear)):
            fields[name] = None
        else:
            fields[name] = overlap(*before) if len(before) == 2 else receptive_field(layer, before[0])
    return fields


def _named(net, prefix=""):
    """(name, layer) along a chain, the chains in it unrolled, their names dotted."""
    if isinstance(net, layers.Sequential):
        pairs = net.children.items()
    elif isinstance(net, (list, tuple)):
        pairs = [(layer.name or str(number), layer) for number, layer in enumerate(net)]
    else:
        pairs = [(net.name or type(net).__name__, net)]
    for name, layer in pairs:
        if isinstance(layer, layers.Sequential):
            yield from _named(layer, f"{prefix}{name}.")
        else:
            yield prefix + name, layer


def _chain(pairs):
    names = ["image", *(name for name, _ in pairs)]
    if len(set(names)) < len(names):
        raise ValueError(
            f"the layers of a chain have different names, none of them 'image'; got {', '.join(names[1:])}"
        )
    return [Step(name, layer, (before,)) for before, (name, layer) in zip(names, pairs)]


def _fcn(net):
    found = _chain([*net.trunk.children.items(), ("score_fr", net.score_fr)])
    scores = "score_fr"
    for pool, upscore, fuse in net.skips:
        found += [Step(upscore.name, upscore, (scores,)), Step(fuse.name, fuse, (upscore.name, pool))]
        scores = fuse.name
    found.append(Step(net.upscore.name, net.upscore, (scores,)))
    return [*found, Step(net.crop.name, net.crop, (net.upscore.name, "image"))]


def _changed(step, **attributes):
    """The step with a copy of its layer that has other hyper-parameters, and shares the weights."""
    layer = copy(step.layer)
    for name, value in attributes.items():
        setattr(layer, name, value)
    return step._replace(layer=layer)
