"""Layers with weights: convolution, transposed convolution and the fully connected layer."""

import math
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks, ops
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.conv import ALGORITHMS, transformation
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.layers import prepared
from fcn_from_scratch.layers.base import Layer
from fcn_from_scratch.layers.window import Window

KERNEL_BYTES = 4  # of a transformed 3x3 kernel for each byte of the weight: 36 numbers for 9


class Prepared(NamedTuple):
    """What Conv2d.prepare made: a function that transforms the weight, and for which weight, Hold and geometry."""

    weight: np.ndarray
    held: prepared.Hold
    made_for: tuple
    transformed: prepared.Once


class Conv2d(Layer):
    """ops.conv2d with its weight (out_channels, in_channels / groups, kh, kw) and bias (out_channels,).

    The weight starts with normal random numbers of variance 2 / fan_in (He et al. 2015). So the size of activations
    stays about the same from layer to layer. The bias starts at zero.
    algorithm  how the engine computes it, one of engine.conv.ALGORITHMS
    rng        the random generator for the weight; dtype is that of the parameters
    Lessons 2 and 3.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        *,
        algorithm="auto",
        rng=None,
        dtype=np.float32,
        name=None,
    ):
        super().__init__(name)
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.out_channels = checks.integer(out_channels, "out_channels", 1)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.dilation = checks.pair(dilation, "dilation", 1)
        self.groups = checks.integer(groups, "groups", 1)
        self.algorithm = checks.choice(algorithm, "algorithm", ALGORITHMS)
        checks.groups(groups, in_channels, out_channels)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        weight = he_normal(shape, np.prod(shape[1:]), rng, dtype)
        self.add_param("weight", channels_first(channels_last(weight)))  # in the memory layout that the algorithms read
        if bias:
            self.add_param("bias", np.zeros(out_channels, dtype))
        self._prepared = None

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding, self.dilation)

    @property
    def kind(self):
        return f"conv {self.window}"

    def multiply_adds(self, shape):
        taps = math.prod(self.kernel_size) * self.in_channels // self.groups
        return math.prod(self.output_shape(shape)) * taps

    def train(self, mode=True):
        if mode:
            self.prepare(False)
        return super().train(mode)

    def prepare(self, mode=True):
        """Like Layer.prepare. The next forward by Winograd's algorithm keeps the kernel that it transforms, which takes
        four times the weight's memory. Nothing happens on a GPU and for other convolutions."""
        super().prepare(mode)
        if mode and self.transformed is not None:
            return self
        self._prepared, weight = None, self.params["weight"]
        if not mode or not isinstance(weight, np.ndarray):
            return self
        transform = transformation(weight, self.stride, self.dilation, self.groups, self.algorithm)
        held = None if transform is None else prepared.hold(weight)
        if held is not None:
            kernel = prepared.Once(lambda: transform(weight), KERNEL_BYTES * weight.nbytes)
            self._prepared = Prepared(weight, held, (self.algorithm, self.placing), kernel)
        return self

    @property
    def transformed(self):
        """A prepared.Once that returns the transformed weight.

        None without prepare, and if what prepare made does not belong to this weight and this geometry any more.
        """
        if self._prepared is None:
            return None
        weight, held, made_for, transformed = self._prepared
        same = weight is self.params["weight"] and not weight.flags.writeable and not held.broken
        return transformed if same and made_for == (self.algorithm, self.placing) else None

    def _forward(self, x):
        checks.channels(self, x, self.in_channels)
        arguments = self.params["weight"], self.params.get("bias"), *self.placing
        return ops.conv2d(x, *arguments, transformed=self.transformed, **self.engine_options), x

    def _backward(self, dy, x):
        gradients = self.gradient_of("weight"), self.gradient_of("bias") if "bias" in self.params else None
        arguments = self.params["weight"], *self.placing
        return ops.conv2d_backward(dy, x, *arguments, out=gradients, **self.engine_options)[0]

    def backward_params(self, dy):
        """Only add to `grads`. This is enough for the first layer of a network: the image's gradient is not needed."""
        arguments = self.params["weight"], *self.placing
        ops.conv2d_weight_grad(dy, self.kept(dy), *arguments, out=self.gradient_of("weight"), **self.engine_options)
        if "bias" in self.params:
            self.accumulate("bias", ops.conv2d_bias_grad(dy))

    @property
    def placing(self):
        """The arguments of ops.conv2d that place the windows."""
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def engine_options(self):
        """Arguments that only the engine uses: see engine.conv.conv2d."""
        return {"algorithm": self.algorithm, "workspace": self.workspace}


class ConvTranspose2d(Layer):
    """ops.conv_transpose2d with its weight (in_channels, out_channels, kh, kw) and bias: learned upsampling.

    The weight starts with random numbers. `init_bilinear()` sets it to bilinear interpolation, as the paper does.
    Lessons 9 and 10.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        *,
        rng=None,
        dtype=np.float32,
        name=None,
    ):
        super().__init__(name)
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.out_channels = checks.integer(out_channels, "out_channels", 1)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.output_padding = checks.pair(output_padding, "output_padding", 0)
        self.dilation = checks.pair(dilation, "dilation", 1)
        self.groups = checks.integer(groups, "groups", 1)
        checks.output_padding(self.output_padding, self.stride, self.dilation)
        checks.groups(groups, in_channels, out_channels)
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        reached_by = in_channels // groups * np.prod(self.kernel_size) / np.prod(self.stride)
        self.add_param("weight", he_normal(shape, reached_by, rng, dtype))
        if bias:
            self.add_param("bias", np.zeros(out_channels, dtype))

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding, self.dilation, transposed=True)

    @property
    def kind(self):
        return f"up {self.window}"

    def output_shape(self, shape):
        channels, *size = super().output_shape(shape)
        return channels, *(n + extra for n, extra in zip(size, self.output_padding))

    def multiply_adds(self, shape):
        return math.prod(shape) * math.prod(self.kernel_size) * self.out_channels // self.groups

    def init_bilinear(self):
        """Set the weight to interpolate each class: the bilinear kernel on the channel diagonal, zero elsewhere.

        With groups it is the diagonal of each group. With a group for each channel that is the whole weight.
        Caffe's BilinearFiller fills every pair of channels, which would add up the classes. Returns the layer.
        """
        if self.in_channels != self.out_channels:
            raise ValueError(
                f"{self.label} cannot interpolate: it needs equal channels, but has {self.in_channels} -> "
                f"{self.out_channels} channels"
            )
        weight = self.params["weight"]
        xp = get_array_module(weight)
        weight[...] = 0
        channel = xp.arange(self.in_channels)
        weight[channel, channel % weight.shape[1]] = xp.asarray(_bilinear(*self.kernel_size).astype(weight.dtype))
        return self

    def _forward(self, x):
        checks.channels(self, x, self.in_channels)
        weight, bias = self.params["weight"], self.params.get("bias")
        return ops.conv_transpose2d(x, weight, bias, *self.placing), x

    def _backward(self, dy, x):
        dx, dweight, dbias = ops.conv_transpose2d_backward(dy, x, self.params["weight"], *self.placing)
        self.accumulate("weight", dweight)
        if "bias" in self.params:
            self.accumulate("bias", dbias)
        return dx

    @property
    def placing(self):
        """The arguments of ops.conv_transpose2d that place the windows."""
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation


def _bilinear(height, width):
    """The bilinear kernel, which may be oblong: the product of its vertical and its horizontal row."""
    if height == width:
        return ops.bilinear_kernel(height)
    return np.outer(*(np.sqrt(np.diag(ops.bilinear_kernel(size))) for size in (height, width)))


class Linear(Layer):
    """ops.linear with its weight (out_features, in_features) and bias: the classifier's layer. Lesson 4."""

    on_grid, kind = False, "linear"

    def __init__(self, in_features, out_features, bias=True, *, rng=None, dtype=np.float32, name=None):
        super().__init__(name)
        self.in_features = checks.integer(in_features, "in_features", 1)
        self.out_features = checks.integer(out_features, "out_features", 1)
        self.add_param("weight", he_normal((out_features, in_features), in_features, rng, dtype))
        if bias:
            self.add_param("bias", np.zeros(out_features, dtype))

    def output_shape(self, shape):
        if tuple(shape) != (self.in_features, 1, 1):
            raise ValueError(f"{self.label} expects {self.in_features} numbers; this image gives {shape[0]}")
        return self.out_features, 1, 1

    def multiply_adds(self, shape):
        return self.in_features * self.out_features

    def _forward(self, x):
        return ops.linear(x, self.params["weight"], self.params.get("bias")), x

    def _backward(self, dy, x):
        dx, dweight, dbias = ops.linear_backward(dy, x, self.params["weight"])
        self.accumulate("weight", dweight)
        if "bias" in self.params:
            self.accumulate("bias", dbias)
        return dx


class ZeroInit(np.random.Generator):
    """A generator for networks whose weights are then read from a file. With it he_normal returns zeros.

    Zeros take no time, and no memory until something is written to them. Dropout uses it like any other generator.
    """


def he_normal(shape, fan_in, rng, dtype):
    """Normal numbers of variance 2 / fan_in (He et al. 2015, equation 10)."""
    rng = np.random.default_rng() if rng is None else rng
    dtype = np.dtype(dtype)
    if isinstance(rng, ZeroInit):
        if len(shape) < 4:
            return np.zeros(shape, dtype)
        f, c, kh, kw = shape
        return channels_first(np.zeros((f, kh, kw, c), dtype))  # in the layout of Conv2d: a copy would be written to
    drawn = rng.standard_normal(shape, dtype if dtype in (np.float32, np.float64) else np.float32)
    drawn *= np.sqrt(2 / fan_in)
    return drawn.astype(dtype, copy=False)
