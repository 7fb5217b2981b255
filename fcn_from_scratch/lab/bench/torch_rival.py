"""The work in PyTorch: the same network with the same weights, in eager mode and with PyTorch's default settings."""

import os

import numpy as np

from fcn_from_scratch import geometry
from fcn_from_scratch.lab.bench.clocks import TorchClock
from fcn_from_scratch.lab.bench.gpu import tf32_allowed
from fcn_from_scratch.lab.bench.torch_network import TorchNetwork
from fcn_from_scratch.lab.bench.work import LR, MOMENTUM, WEIGHT_DECAY, convolution


class TorchRival:
    """PyTorch with the methods of NumpyRival, which documents them.

    memory_format  "contiguous_format", which is NCHW and what most programs use, or "channels_last", often faster
    The number of threads is OMP_NUM_THREADS, which processes.Process sets.
    """

    device = "cpu"

    def __init__(self, work, memory_format="contiguous_format", dtype="float32"):
        import torch

        self.torch, self.f = torch, torch.nn.functional
        if "OMP_NUM_THREADS" in os.environ:
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        net = work.network(dtype)
        x = work.pictures(net).astype(dtype, copy=False)
        self.layers = {node.name: convolution(node.layer) for node in geometry.graph(net)}
        self.network = TorchNetwork(torch, net, memory_format, self.device)
        self.x, self.labels, self.optimizer = self.network.tensor(x), self.network.tensor(work.labels()), None
        if work.train:
            self.optimizer = self._optimizer()

    def _optimizer(self):
        """SGD with the rule for biases that training.optim uses: twice the learning rate, no weight decay."""
        weights, biases = [], []
        for tensors in self.network.params.values():
            for name, tensor in tensors.items():
                (biases if name == "bias" else weights).append(tensor.requires_grad_())
        groups = [{"params": weights}, {"params": biases, "lr": 2 * LR, "weight_decay": 0.0}]
        return self.torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def scores(self):
        return self.predict().cpu().numpy()

    def predict(self):
        self.network.training = False
        with self.torch.inference_mode():
            return self.network(self.x)

    def run(self):
        if self.optimizer is None:
            self.predict()
            return None
        self.network.training = True
        self.optimizer.zero_grad()
        loss = self.f.cross_entropy(self.network(self.x), self.labels, ignore_index=255)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    # --- a convolution alone ---------------------------------------------------------------------------------

    def take(self, conv):
        if self.optimizer is not None:
            self.optimizer.zero_grad()  # frees the gradients
        n, c, h, w = conv.x_shape
        x = np.random.default_rng(0).standard_normal((n, h, w, c), np.float32).transpose(0, 3, 1, 2)
        self.conv_x, layer = self.network.tensor(x), self.layers[conv.first]
        tensors = {name: tensor.detach() for name, tensor in self.network.params[conv.first].items()}
        self.weight, self.bias = tensors["weight"], tensors.get("bias")
        self.place = layer.stride, layer.padding, layer.dilation, layer.groups
        self.conv_dy = self.forward()

    def forward(self):
        with self.torch.inference_mode():
            return self.f.conv2d(self.conv_x, self.weight, self.bias, *self.place)

    def input_grad(self):
        return self._backward(0)

    def weight_grad(self):
        return self._backward(1)

    def _backward(self, which):
        """The gradient with respect to the input (0) or the weight (1), from the function that autograd calls."""
        stride, padding, dilation, groups = self.place
        wanted = [which == place for place in range(3)]
        arguments = self.conv_dy, self.conv_x, self.weight, None, stride, padding, dilation
        with self.torch.inference_mode():
            return self.torch.ops.aten.convolution_backward(*arguments, False, (0, 0), groups, wanted)[which]

    def threads(self):
        return self.torch.get_num_threads()

    def described(self):
        """The peer's version and settings, in a line."""
        return f"PyTorch {self.torch.__version__}: float32, threads {self.threads()}, eager mode, its default settings"


class TorchCudaRival(TorchRival):
    """TorchRival on the GPU, timed by events.

    In the warm-up calls cuDNN tries its algorithms for each shape and chooses the fastest (cudnn.benchmark).
    """

    device = "cuda"

    def __init__(self, work, memory_format="contiguous_format"):
        import torch

        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32_allowed()
        self.clock = TorchClock(torch)
        super().__init__(work, memory_format)

    def described(self):
        tf32 = "on" if self.torch.backends.cuda.matmul.allow_tf32 else "off"
        return f"PyTorch {self.torch.__version__}: float32, TF32 {tf32}, cudnn.benchmark on, eager mode"

    def peak(self):
        """Peak bytes of all tensors during the work. The first run is not counted."""
        self.run()
        self.torch.cuda.reset_peak_memory_stats()
        self.run()
        return self.torch.cuda.max_memory_allocated()
