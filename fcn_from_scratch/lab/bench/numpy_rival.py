"""The work by this project as a user runs it: in NumPy, or in CuPy on a GPU (bench.cupy_rival)."""

import itertools

import numpy as np

from fcn_from_scratch import geometry, ops
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.lab.bench.work import LR, MOMENTUM, WEIGHT_DECAY, convolution
from fcn_from_scratch.models import ZeroFrame
from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.optim import SGD


class NumpyRival:
    """One Work, and its convolutions alone. TorchRival has the same methods.

    algorithm  of all convolutions, one of engine.conv.ALGORITHMS: "auto" is the project's own choice for each
    dtype      "float64" makes a reference for the scores
    """

    device, wide = "cpu", False

    def __init__(self, work, algorithm="auto", dtype="float32"):
        self.net = work.network(dtype).to(self.device).use(Workspace())
        nodes = geometry.graph(self.net)
        self.layers = {node.name: convolution(node.layer) for node in nodes}
        for node in nodes:
            if self.layers[node.name] is not None:
                self.layers[node.name].algorithm = self.choose(algorithm, node)
        self.x = self.there(work.pictures(self.net).astype(dtype, copy=False))
        self.trainer = None
        if work.train:
            batches = itertools.repeat((self.x, to_device(work.labels(), self.device)))
            optimizer = SGD(self.net, LR, MOMENTUM, WEIGHT_DECAY)
            self.trainer = Trainer(self.net, optimizer, batches, device=self.device)
        else:
            self.net.eval().prepare(wide=self.wide)

    def choose(self, algorithm, node):
        """The algorithm of one of the network's convolutions, when `algorithm` is asked for."""
        return algorithm

    def there(self, x):
        """Maps (N, C, H, W) on the rival's device, channels last in memory as they are here."""
        return to_device(x.transpose(0, 2, 3, 1), self.device).transpose(0, 3, 1, 2)

    def scores(self):
        """What the network makes of the pictures, (N, num_classes, H, W), on the host."""
        return to_numpy(self.predict())

    def predict(self):
        return self.net.eval()(self.x)

    def run(self):
        """The work, once; returns the loss before a training step, None without one."""
        if self.trainer is None:
            self.predict()
            return None
        self.net.train()
        return self.trainer.step()

    # --- a convolution alone ---------------------------------------------------------------------------------

    def take(self, conv):
        """Make ready for the passes of one bench.work.Conv."""
        self.net.eval()  # drops what the last step kept
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
        """Added to the layer's gradient, as its backward does."""
        arguments, gradient = (self.conv_dy, self.conv_x, self.conv.params["weight"]), self.conv.grads["weight"]
        return ops.conv2d_weight_grad(*arguments, out=gradient, **self._options())

    def _options(self):
        names = ("stride", "padding", "dilation", "groups", "algorithm", "workspace")
        return {name: getattr(self.conv, name) for name in names}

    def threads(self):
        """On how many threads it works."""
        return threads.workers()


class FastFc6Rival(NumpyRival):
    """The same with fc6 by Winograd's F(2, 7). Forward alone."""

    wide = True


class ZeroFrameRival(NumpyRival):
    """The same for a stream of pictures of one size: what lies outside the picture is computed once. Forward alone."""

    def __init__(self, work):
        super().__init__(work)
        self.predictor = ZeroFrame(self.net)

    def predict(self):
        return self.predictor(self.x)


class StreamRival(ZeroFrameRival):
    """Both."""

    wide = True
