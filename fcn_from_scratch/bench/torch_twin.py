"""Any network of ours, computed by PyTorch: its layers, one for one, on its weights.

The network says in `steps` which layer reads which maps; for every kind of layer there is one function here that calls
PyTorch's counterpart. A layer without one is refused by name.
"""

import numpy as np

from fcn_from_scratch import geometry, layers
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.ops import bilinear_kernel


class Twin:
    """y = twin(x) of tensors, the scores that `net` makes.

    torch          the module
    memory_format  of weights, "contiguous_format" (NCHW) or "channels_last"
    params         name of a layer -> {"weight": tensor, ...}
    A weight that lies in memory as it should is shared with the network, not copied. Every map is dropped after its
    last reader, and a ReLU writes over its input if nobody else reads that.
    """

    def __init__(self, torch, net, memory_format="contiguous_format"):
        self.torch, self.steps = torch, geometry.steps(net)
        self.memory_format = getattr(torch, memory_format)
        self.params = {step.name: self._tensors(step.layer) for step in self.steps}
        self.last_reader = {source: step.name for step in self.steps for source in step.sources}
        self.readers = [source for step in self.steps for source in step.sources]
        for step in self.steps:
            if type(step.layer) not in COUNTERPARTS:
                raise InputError(f"{step.layer.label} has no counterpart in PyTorch here: pass --peer none")

    def parameters(self):
        """(full name, tensor) of everything that learns."""
        for step in self.steps:
            for name in step.layer.params:
                yield f"{step.name}.{name}", self.params[step.name][name]

    def __call__(self, x, training=False):
        maps = {"image": x}
        for name, layer, sources in self.steps:
            inputs = [maps.pop(source) if self.last_reader[source] == name else maps[source] for source in sources]
            if isinstance(layer, layers.ReLU) and self.readers.count(sources[0]) == 1:
                maps[name] = self.torch.relu_(inputs[0])
            else:
                compute = COUNTERPARTS[type(layer)]
                maps[name] = compute(self.torch.nn.functional, layer, self.params[name], training, *inputs)
            del inputs
        return maps[name]

    def _tensors(self, layer):
        tensors = {name: self.tensor(array) for name, array in layer.params.items()}
        if isinstance(layer, layers.BilinearUpsample):
            vertical, horizontal = (np.sqrt(np.diag(bilinear_kernel(size))) for size in layer.kernel_size)
            kernel = np.outer(vertical, horizontal).astype("float32")
            tensors["kernel"] = self.tensor(kernel[None, None])
        return tensors

    def tensor(self, array):
        """The array as a tensor, copied only if its memory format is another."""
        tensor = self.torch.from_numpy(array)
        return tensor.contiguous(memory_format=self.memory_format) if array.ndim == 4 else tensor


# --- for each kind of layer, f(torch.nn.functional, layer, tensors, training, *inputs) ------------------------------


def _conv2d(f, layer, p, training, x):
    knobs = layer.stride, layer.padding, layer.dilation, layer.groups
    return f.conv2d(x, p["weight"], p.get("bias"), *knobs)


def _conv_transpose2d(f, layer, p, training, x):
    return f.conv_transpose2d(x, p["weight"], p.get("bias"), layer.stride, layer.padding)


def _bilinear_upsample(f, layer, p, training, x):
    """A group for each channel: four times as fast as the (C, C, k, k) kernel of the public ports."""
    kernel = p["kernel"].to(x.dtype).expand(x.shape[1], -1, -1, -1)
    return f.conv_transpose2d(x, kernel, None, layer.stride, layer.padding, groups=x.shape[1])


def _max_pool2d(f, layer, p, training, x):
    return f.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)


def _avg_pool2d(f, layer, p, training, x):
    knobs = layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad
    return f.avg_pool2d(x, *knobs)


def _skip_fusion(f, layer, p, training, scores, skip):
    fine = f.conv2d(skip if layer.scale == 1 else skip * layer.scale, p["weight"], p["bias"])
    size = [
        coarse if offset > 0 else finer if offset < 0 else min(coarse, finer)
        for offset, coarse, finer in zip(layer.offset, scores.shape[2:], fine.shape[2:])
    ]
    return _window(scores, [max(-o, 0) for o in layer.offset], size) + _window(
        fine, [max(o, 0) for o in layer.offset], size
    )


def _crop(f, layer, p, training, x, reference=None):
    size = layer.size if reference is None else reference.shape[2:]
    return _window(x, layer.offset, size)


def _window(x, offset, size):
    (top, left), (height, width) = offset, size
    return x[:, :, top : top + height, left : left + width]


COUNTERPARTS = {
    layers.Conv2d: _conv2d,
    layers.ConvTranspose2d: _conv_transpose2d,
    layers.BilinearUpsample: _bilinear_upsample,
    layers.NearestUpsample: lambda f, layer, p, training, x: f.interpolate(x, scale_factor=layer.scale),
    layers.MaxPool2d: _max_pool2d,
    layers.AvgPool2d: _avg_pool2d,
    layers.ReLU: lambda f, layer, p, training, x: f.relu(x),
    layers.Dropout: lambda f, layer, p, training, x: f.dropout(x, layer.p, training),
    layers.ChannelDropout: lambda f, layer, p, training, x: f.dropout2d(x, layer.p, training),
    layers.LocalResponseNorm: lambda f, layer, p, training, x: f.local_response_norm(
        x, layer.size, layer.alpha, layer.beta, layer.k
    ),
    layers.SkipFusion: _skip_fusion,
    layers.Crop: _crop,
    layers.Concat: lambda f, layer, p, training, *maps: f.torch_cat(maps),
    layers.Sum: lambda f, layer, p, training, *maps: layer.scale * sum(maps[1:], maps[0]),
}
