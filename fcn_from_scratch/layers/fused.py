"""Several layers in one pass over memory: a convolution, the ReLU after it, and the 2x2 max-pool after that.

If layers run one by one, the map between two of them is written to memory and read again. A chain (Sequential, Trunk)
calls `forward`, which finds the layers that one pass can compute. The results are the same, bit for bit
(tests/layers/test_fused.py).

Each layer keeps what its own backward needs, as if it had run alone. There is one exception. A pass with a max-pool
never writes the output of the ReLU, and without it ReLU.backward does not know where the output was positive. So a pool
is fused only if nobody can call the backward of a single layer. This holds in eval mode, and inside
`with unobserved(model):`. There the caller runs forward and backward of the whole network, as the trainer does. At the
end the network drops what forward kept.
"""

import contextlib
import contextvars

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import is_plain
from fcn_from_scratch.engine.loss_shares import layers as layers_of
from fcn_from_scratch.engine.micro_batches import METHODS, as_written_here
from fcn_from_scratch.layers.activation import ReLU
from fcn_from_scratch.layers.conv import Conv2d
from fcn_from_scratch.layers.pooling import MaxPool2d
from fcn_from_scratch.ops.shapes import conv_geometry

_unobserved = contextvars.ContextVar("unobserved", default=False)


@contextlib.contextmanager
def unobserved(model):
    """Fuse pools in training mode too.

    The caller promises not to call the backward of a single layer inside the block. At the end the model drops what
    forward kept. A user's own layer may call the backward of the layers it holds. So a model with such a layer is not
    changed.
    """
    token = _unobserved.set(all(map(as_written_here, layers_of(model))))
    try:
        yield
    finally:
        _unobserved.reset(token)
        model.forget()


def forward(children, x, taps=(), winners=True):
    """Run a chain, a dict name -> layer, in as few passes as possible. `winners` is that of `run`.

    Returns: (y, a dict with the output of each layer named in taps).
    """
    maps = {}
    for names in groups(children, taps):
        x = run([children[name] for name in names], x, winners)
        if names[-1] in taps:
            maps[names[-1]] = x
    return x, maps


def groups(children, taps=()):
    """Split a chain into lists of names. One pass computes each list. A layer in `taps` is the last of its list."""
    names = list(children)
    while names:
        length = _joint([children[name] for name in names[:3]])
        length = next((place for place, name in enumerate(names[:length], start=1) if name in taps), length)
        yield names[:length]
        names = names[length:]


def _joint(layers):
    """How many of these layers one pass computes, counted from the first.

    A subclass, or a layer with a replaced method, may compute something else. It is never fused.
    """
    kinds = [type(layer) if METHODS.isdisjoint(vars(layer)) else None for layer in layers]
    if kinds[:2] != [Conv2d, ReLU]:
        return 1
    return 3 if kinds[2:] == [MaxPool2d] and layers[2].is_2x2 and _may_pool(layers) else 2


def _may_pool(layers):
    return _unobserved.get() or not any(layer.training for layer in layers)


def run(layers, x, winners=True):
    """Run the layers of one group. Each of them keeps what its backward needs. In `plain()` they run one by one.

    winners   False: in eval mode a pool need not keep the positions of its maxima, unless something undoes it
    """
    if len(layers) == 1 or is_plain():
        for layer in layers:
            x = layer(x)
        return x
    conv, relu, *pools = layers
    checks.channels(conv, x, conv.in_channels)
    weight, options = conv.params["weight"], {"transformed": conv.transformed, **conv.engine_options}
    with checks.naming(conv):
        arguments = x, weight, conv.params.get("bias"), conv_geometry(x.shape, weight, *conv.placing)
    if not pools:
        y = engine.conv2d(*arguments, relu=True, **options)
        relu.remember((y,), y.shape)
        conv.remember(x, y.shape)
    else:
        (pool,), shape = pools, (len(x), conv.out_channels, *arguments[3].output_size)
        with checks.naming(pool):
            windows = pool.geometry(shape)
        kept = winners or pool.training or pool.undone
        y, winner = engine.conv2d_relu_pool(*arguments, windows, winners=kept, **options)
        pool.remember(pool.keep(winner if kept else None, shape), y.shape)
        relu.remember((), shape)  # empty: the pool's backward gives no gradient where the ReLU's output was zero
        conv.remember(x, shape)
    return y
