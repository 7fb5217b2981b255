"""Any network of this project, computed by PyTorch: layer by layer, with the same weights.

geometry.graph tells which layer reads which maps. For each kind of layer one function below calls PyTorch's
counterpart. A layer without a counterpart is refused by name.
"""

import numpy as np

from fcn_from_scratch import geometry, layers
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.ops import bilinear_kernel


class TorchNetwork:
    """y = network(x) for tensors: the scores of `net`. It takes over the weights, and `net` loses them.

    torch          the module
    memory_format  of the weights: "contiguous_format", which is NCHW, or "channels_last"
    device         PyTorch's name of the device
    params         name of a layer -> {"weight": tensor, ...}
    A weight is copied only if its memory format differs. Each map is dropped after its last reader. A ReLU overwrites
    its input if no other layer reads it.
    Identity: scores and gradients equal the network's  (tests/lab/bench/test_torch_network.py).
    """

    def __init__(self, torch, net, memory_format="contiguous_format", device="cpu"):
        self.torch, self.f, self.device = torch, torch.nn.functional, device
        self.memory_format = getattr(torch, memory_format)
        self.training = False
        self.nodes = geometry.graph(net)
        self.sources = [source for node in self.nodes for source in node.sources]
        self.last_reader = {source: node.name for node in self.nodes for source in node.sources}
        self.params, self.kernels = {}, {}
        for name, layer, _ in self.nodes:
            if type(layer) not in COUNTERPARTS:
                raise InputError(f"{layer.label} has no counterpart in PyTorch here")
            self.params[name] = {key: self.tensor(array) for key, array in layer.params.items()}
            layer.params.clear()
            layer.grads.clear()
            if isinstance(layer, layers.BilinearUpsample):
                self.kernels[layer.kernel_size] = self.tensor(_bilinear_kernel(*layer.kernel_size))

    def tensor(self, array):
        """The array as a tensor on the network's device, in its memory format."""
        tensor = self.torch.from_numpy(array).to(self.device)
        return tensor.contiguous(memory_format=self.memory_format) if array.ndim == 4 else tensor

    def __call__(self, x):
        maps = {"image": x}
        for name, layer, sources in self.nodes:
            inputs = [maps.pop(source) if self.last_reader[source] == name else maps[source] for source in sources]
            if isinstance(layer, layers.ReLU) and self.sources.count(sources[0]) == 1:
                maps[name] = self.f.relu_(*inputs)
            else:
                maps[name] = COUNTERPARTS[type(layer)](self, layer, self.params[name], *inputs)
            del inputs
        return maps[name]


def _bilinear_kernel(height, width):
    """The bilinear kernel, (1, 1, height, width)."""
    rows, columns = (np.sqrt(np.diag(bilinear_kernel(size))) for size in (height, width))
    return np.outer(rows, columns)[None, None]


# --- one function for each kind of layer: f(network, layer, p, *inputs), where p are the layer's tensors -------------


def _conv2d(network, layer, p, x):
    place = layer.stride, layer.padding, layer.dilation, layer.groups
    return network.f.conv2d(x, p["weight"], p.get("bias"), *place)


def _conv_transpose2d(network, layer, p, x):
    return network.f.conv_transpose2d(x, p["weight"], p.get("bias"), *layer.placing)


def _bilinear_upsample(network, layer, p, x):
    """One group for each channel. The public ports use a (C, C, k, k) kernel of mostly zeros, which is slower."""
    kernel = network.kernels[layer.kernel_size].to(x.dtype).expand(x.shape[1], 1, *layer.kernel_size)
    return network.f.conv_transpose2d(x, kernel, None, layer.stride, layer.padding, groups=x.shape[1])


def _max_pool2d(network, layer, p, x):
    return network.f.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)


def _avg_pool2d(network, layer, p, x):
    window = layer.kernel_size, layer.stride, layer.padding
    return network.f.avg_pool2d(x, *window, layer.ceil_mode, layer.count_include_pad)


def _local_response_norm(network, layer, p, x):
    return network.f.local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k)


def _skip_fusion(network, layer, p, scores, skip):
    fine = network.f.conv2d(skip if layer.scale == 1 else skip * layer.scale, p["weight"], p["bias"])
    coarse_from, fine_from = ([max(sign * o, 0) for o in layer.offset] for sign in (-1, 1))
    left = (scores.shape[2:], coarse_from), (fine.shape[2:], fine_from)
    height, width = (min(size[axis] - start[axis] for size, start in left) for axis in (0, 1))
    return _window(scores, coarse_from, (height, width)) + _window(fine, fine_from, (height, width))


def _crop(network, layer, p, x, reference=None):
    return _window(x, layer.offset, layer.size if reference is None else reference.shape[2:])


def _window(x, offset, size):
    (top, left), (height, width) = offset, size
    return x[:, :, top : top + height, left : left + width]


COUNTERPARTS = {
    layers.Conv2d: _conv2d,
    layers.ConvTranspose2d: _conv_transpose2d,
    layers.BilinearUpsample: _bilinear_upsample,
    layers.NearestUpsample: lambda network, layer, p, x: network.f.interpolate(x, scale_factor=layer.scale),
    layers.MaxPool2d: _max_pool2d,
    layers.AvgPool2d: _avg_pool2d,
    layers.LocalResponseNorm: _local_response_norm,
    layers.ReLU: lambda network, layer, p, x: network.f.relu(x),
    layers.Dropout: lambda network, layer, p, x: network.f.dropout(x, layer.p, network.training),
    layers.ChannelDropout: lambda network, layer, p, x: network.f.dropout2d(x, layer.p, network.training),
    layers.SkipFusion: _skip_fusion,
    layers.Crop: _crop,
    layers.Concat: lambda network, layer, p, *maps: network.torch.cat(maps, dim=1),
    layers.Sum: lambda network, layer, p, *maps: layer.scale * sum(maps[1:], maps[0]),
}
