"""The work in PyTorch: the same network on the same weights, in eager mode with its defaults."""

import importlib.util
import os

import numpy as np

from fcn_from_scratch import geometry
from fcn_from_scratch.bench.torch_twin import Twin
from fcn_from_scratch.bench.work import LR, MOMENTUM, WEIGHT_DECAY, convolution


def installed():
    """Can PyTorch be imported?"""
    return importlib.util.find_spec("torch") is not None


class TorchRival:
    """NumpyRival's methods, by PyTorch; for them see there.

    memory_format  "contiguous_format", which is NCHW and what everybody uses, or "channels_last", often faster
    The number of threads is OMP_NUM_THREADS, as bench.processes sets it.
    """

    def __init__(self, work, memory_format="contiguous_format", dtype="float32"):
        import torch

        self.torch = torch
        if "OMP_NUM_THREADS" in os.environ:
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        net = work.network().astype(dtype)
        self.twin = Twin(torch, net, memory_format)
        self.layers = {step.name: convolution(step.layer) for step in geometry.steps(net)}
        self.x = self.twin.tensor(work.pictures(net).astype(dtype, copy=False))
        self.optimizer = None
        if work.train:
            self.labels = torch.from_numpy(work.labels())
            self.optimizer = self._optimizer()

    def _optimizer(self):
        """Biases learn twice as fast and are not decayed, as in NumPy."""
        groups = {True: [], False: []}
        for name, parameter in self.twin.parameters():
            groups[name.endswith("bias")].append(parameter.requires_grad_())
        biases = {"params": groups[True], "lr": 2 * LR, "weight_decay": 0.0}
        return self.torch.optim.SGD(
            [{"params": groups[False]}, biases], lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )

    def scores(self):
        with self.torch.inference_mode():
            return self.twin(self.x).numpy()

    def run(self):
        if self.optimizer is None:
            self.scores()
            return None
        self.optimizer.zero_grad()
        loss = self.torch.nn.functional.cross_entropy(self.twin(self.x, training=True), self.labels, ignore_index=255)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    # --- a convolution alone ---------------------------------------------------------------------------------

    def take(self, conv):
        if self.optimizer is not None:
            self.optimizer.zero_grad()  # hands the gradients' memory back
        layer, params = self.layers[conv.first], self.twin.params[conv.first]
        x = np.random.default_rng(0).standard_normal((*conv.x_shape[:1], *conv.x_shape[2:], conv.x_shape[1]), "f4")
        self.conv_x = self.twin.tensor(x.transpose(0, 3, 1, 2))
        self.weight, self.bias = params["weight"].detach(), params["bias"].detach()
        self.knobs = layer.stride, layer.padding, layer.dilation, layer.groups
        self.conv_dy = self.forward()

    def forward(self):
        with self.torch.inference_mode():
            return self.torch.nn.functional.conv2d(self.conv_x, self.weight, self.bias, *self.knobs)

    def input_grad(self):
        return self._backward(True, False)[0]

    def weight_grad(self):
        return self._backward(False, True)[1]

    def _backward(self, by_input, by_weight):
        """What autograd calls for a convolution."""
        stride, padding, dilation, groups = self.knobs
        with self.torch.inference_mode():
            return self.torch.ops.aten.convolution_backward(
                *(self.conv_dy, self.conv_x, self.weight, None),
                *(stride, padding, dilation, False, (0, 0), groups),
                (by_input, by_weight, False),
            )

    def threads(self):
        return self.torch.get_num_threads()
