"""The work by this project, as a user runs it: in NumPy, or in CuPy on a GPU (cupy_rival)."""

import itertools

import numpy as np

from fcn_from_scratch import geometry, ops
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench.work import LR, MOMENTUM, WEIGHT_DECAY, convolution
from fcn_from_scratch.models import ZeroFrame
from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.optim import SGD


class NumpyRival:
    """Runs one Work, and each of its convolutions alone. TorchRival has the same methods.

    algorithm  for all convolutions, one of engine.conv.ALGORITHMS; "auto" is the project's own choice for each
    dtype      "float64" for the reference scores
    """

    device = "cpu"

    def __init__(self, work, algorithm="auto", dtype="float32"):
        self.net = work.network(dtype).to(self.device).use(Workspace())
        nodes = geometry.graph(self.net)
        self.layers = {node.name: convolution(node.layer) for node in nodes}
        for node in nodes:
            if self.layers[node.name] is not None:
                self.layers[node.name].algorithm = self.choose(algorithm, node)
        self.x = self.there(work.pictures(self.net).astype(dtype, copy=False))
        self.trainer, self.helpers = None, []
        if work.train:
            batches = itertools.repeat((self.x, to_device(work.labels(), self.device)))
            optimizer = SGD(self.net, LR, MOMENTUM, WEIGHT_DECAY)
            self.trainer = Trainer(self.net, optimizer, batches, device=self.device)
            self.helpers = self.trainer.start_processes(self.x)  # as in a training that takes longer than a second
        else:
            self.net.eval().prepare()

    def choose(self, algorithm, node):
        """The algorithm for the convolution at a node of the network, given the rival's `algorithm`."""
        return algorithm

    def there(self, x):
        """Copy maps (N, C, H, W) to the rival's device; they stay channels last in memory."""
        return to_device(x.transpose(0, 2, 3, 1), self.device).transpose(0, 3, 1, 2)

    def scores(self):
        """The network's scores for the pictures, (N, num_classes, H, W), on the host."""
        return to_numpy(self.predict())

    def predict(self):
        return self.net.eval()(self.x)

    def run(self):
        """Do the work once. Returns the loss before a training step, or None after a forward."""
        if self.trainer is None:
            self.predict()
            return None
        self.net.train()
        return self.trainer.step()

    # --- a convolution alone ---------------------------------------------------------------------------------

    def take(self, conv):
        """Get ready to run the passes of one work.Conv."""
        self.net.eval()  # drops the maps that the last step kept
        n, c, h, w = conv.x_shape
        self.conv, rng = self.layers[conv.first], np.random.default_rng(0)
        self.conv_x = self.there(rng.standard_normal((n, h, w, c), np.float32).transpose(0, 3, 1, 2))
        self.conv_dy = self.forward()
        self.conv.zero_grad()

    def forward(self):
        return self.conv(self.conv_x)

    def input_grad(self):
        return ops.conv2d_input_grad(self.conv_dy, self.conv_x.shape, self.conv.params["weight"], **self._options())

    def weight_grad(self):
        """The weight gradient, added to the layer's `grads` as in its backward."""
        arguments, gradient = (self.conv_dy, self.conv_x, self.conv.params["weight"]), self.conv.grads["weight"]
        return ops.conv2d_weight_grad(*arguments, out=gradient, **self._options())

    def _options(self):
        names = ("stride", "padding", "dilation", "groups", "algorithm", "workspace")
        return {name: getattr(self.conv, name) for name in names}

    def peak(self):
        """The peak memory of this process and of those that take parts of its batches, in bytes."""
        found = [memory.peak(), *map(memory.peak, self.helpers)]
        return None if None in found else sum(found)

    def threads(self):
        """The number of threads that it uses, some of them in processes of their own."""
        return threads.workers()


class LoopRival(NumpyRival):
    """The training step of a chain of layers as in one's own loop over them, forward and back.

    There is no trainer that divides the batch, and no workspace. As in PyTorch, the gradient of the pictures is not
    computed.
    """

    def __init__(self, work):
        self.net = work.network("float32")
        self.chain = list(self.net.children.values())
        self.x, self.labels = self.there(work.pictures(self.net)), work.labels()
        self.optimizer, self.helpers = SGD(self.net, LR, MOMENTUM, WEIGHT_DECAY), []

    def run(self):
        self.net.train()
        y = self.x
        for layer in self.chain:
            y = layer(y)
        loss, gradient = ops.softmax_cross_entropy(y, self.labels)
        self.net.zero_grad()
        first, *others = self.chain
        for layer in reversed(others):
            gradient = layer.backward(gradient)
        first.backward_params(gradient)
        self.optimizer.step()
        return float(loss)


class ZeroFrameRival(NumpyRival):
    """NumpyRival with the zero frame, which keeps nothing from one picture to the next. Forward only."""

    def __init__(self, work):
        super().__init__(work)
        self.predictor = ZeroFrame(self.net)

    def predict(self):
        return self.predictor(self.x)


class OnePictureRival(ZeroFrameRival):
    """As `fcn segment` runs a single picture: the weights are not prepared, and the memory is new. Forward only."""

    def __init__(self, work):
        super().__init__(work)
        self.net.prepare(False)

    def predict(self):
        self.net.use(Workspace())
        return super().predict()
