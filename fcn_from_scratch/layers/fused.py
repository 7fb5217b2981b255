"""Several layers in one pass over memory: a convolution, the ReLU after it, and the 2x2 max-pool after that.

Layer by layer, the map between two of them is written to memory and read again. A chain (Sequential, Trunk) asks
`runs` which of its layers can be computed together, and lets `forward` do so. Each layer of a run keeps what its own
backward needs, so that backward goes layer by layer as ever; the numbers are the same, bit for bit
(tests/layers/test_fused.py).
"""

from fcn_from_scratch import checks, ops
from fcn_from_scratch.layers.activation import DONE, ReLU
from fcn_from_scratch.layers.conv import Conv2d
from fcn_from_scratch.layers.pooling import MaxPool2d
from fcn_from_scratch.ops.shapes import conv_output_size


def runs(children, taps=()):
    """Cut a chain, a dict name -> layer, into lists of names that one pass computes; a tapped map ends its run."""
    names = list(children)
    while names:
        length = _joint([children[name] for name in names[:3]])
        length = next((place for place, name in enumerate(names[:length], start=1) if name in taps), length)
        yield names[:length]
        names = names[length:]


def _joint(layers):
    """How many of these layers, from the first one on, one pass computes.

    Subclasses, and layers whose forward was replaced, may do something else: they stand alone.
    """
    kinds = [None if "forward" in vars(layer) else type(layer) for layer in layers]
    if kinds[:2] != [Conv2d, ReLU]:
        return 1
    return 3 if kinds[2:] == [MaxPool2d] and layers[2].halves else 2


def forward(layers, x):
    """The layers of a run; each keeps what its backward needs."""
    if len(layers) == 1:
        return layers[0](x)
    conv, relu, *pools = layers
    checks.channels(conv, x, conv.in_channels)
    if not pools:
        y = conv.call(ops.conv2d, x, relu=True)
        relu.remember(y)
    else:
        y, winner = conv.call(ops.conv2d_relu_pool, x, ceil_mode=pools[0].ceil_mode)
        size = map(conv_output_size, x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        pools[0].remember(pools[0].keep(winner, (*y.shape[:2], *size)))
        relu.remember(DONE)
    conv.remember(x)
    return y
