"""What every layer and model is: a forward, a backward, parameters, gradients and a mode.

The contract
------------
forward(x)    computes y and, in training mode, keeps what backward needs; in eval mode it keeps nothing.
backward(dy)  returns dx and ADDS to `grads`: a trunk that feeds two heads, two heads that share a layer and
              batches that are accumulated all need the sum. `zero_grad()` starts over.
params, grads are insertion-ordered dicts of the live arrays under the same names ("weight", "bias"); those of
              a container are dotted ("conv1_1.weight"), and the dotted names are a checkpoint's keys.

There is no autograd: each layer's derivative is written next to its forward, and where one array feeds two
consumers the container's backward adds the two gradients in plain sight.

A layer also says what it does to a map: see the declarations for geometry in Layer.
"""

import math

import numpy as np

from fcn_from_scratch.backend import get_array_module, memory_order, to_device, to_numpy
from fcn_from_scratch.layers.window import ONE_PIXEL, declared_window
from fcn_from_scratch.ops import shapes


class default:
    """A property that a subclass or an instance replaces by a plain value: window = Window(3), self.window = ..."""

    def __init__(self, value):
        self.value, self.__doc__ = value, value.__doc__

    def __get__(self, layer, owner):
        return self if layer is None else self.value(layer)


class Layer:
    """One step of a network. Subclasses write `_forward(x)`, which returns (y, cache), and `_backward(dy, cache)`."""

    separator = "."  # what stands in a parameter's name between this layer's name and the parameter's own

    def __init__(self, name=None):
        self.name = name
        self.training = True
        self.workspace = None
        self._params = {}
        self._grads = {}
        self._cache = None

    @property
    def params(self):
        """The parameters: name -> live array, in the order they were made."""
        return self._params

    @property
    def grads(self):
        """The gradients: name -> live array, under the parameters' names."""
        return self._grads

    def forward(self, x):
        """Compute y; remember what backward needs unless the layer is in eval mode."""
        y, cache = self._forward(x)
        self.remember(cache)
        return y

    def __call__(self, x):
        return self.forward(x)

    def backward(self, dy):
        """Return dx, the gradient of the loss by the last forward's input, and add to `grads`.

        Raises: RuntimeError when no forward in training mode came before.
        """
        return self._backward(dy, self.kept())

    def backward_params(self, dy):
        """Add to `grads` like backward, and leave out the gradient by the input where that saves work."""
        self.backward(dy)

    def remember(self, cache):
        """Keep something for backward, in training mode."""
        self._cache = cache if self.training else None

    def forget(self):
        """Drop what the last forward kept: backward asks for a new forward. Returns the layer."""
        self._cache = None
        return self

    def kept(self):
        """What the last forward kept for backward."""
        if self._cache is None:
            raise RuntimeError(
                f"{self.label}.backward was called before forward (in training mode): it needs what forward keeps"
            )
        return self._cache

    def _forward(self, x):
        raise TypeError(f"{type(self).__name__} defines no _forward(x)")

    def _backward(self, dy, cache):
        raise TypeError(f"{type(self).__name__} defines no _backward(dy, cache)")

    @property
    def label(self):
        """How messages call this layer: its class and, if it has one, its name."""
        return type(self).__name__ + (f" {self.name!r}" if self.name else "")

    # --- what geometry asks: declared by each layer, inherited by its subclasses ------------------------------

    pointwise = False  # True: each output pixel follows from the input pixel in its place alone, as a ReLU's does
    joins = False  # True: it reads any number of maps, which have one size and stand in one place
    on_grid = True  # False: its output has no place over the image, as a vector has none

    @default
    def window(self):
        """The Window that each output pixel reads. None: not declared, and geometry refuses the layer."""
        return ONE_PIXEL if self.pointwise else None

    def output_shape(self, shape):
        """(C, H, W) of the output for one picture of `shape` (C, H, W). No output at all is a size below 1.

        The default follows from the window, rounded down; the channels are `out_channels`, or those of the input
        where a layer has no such attribute. A layer that reads several maps takes a shape for each of them.
        Raises: ValueError when the layer declares no window.
        """
        window = declared_window(self)
        if window is None:
            raise ValueError(
                f"{self.label} does not say how large its output is. It has to declare `window` or `output_shape`"
            )
        channels, *size = shape
        formula = shapes.conv_transpose_output_size if window.transposed else shapes.conv_output_size
        return getattr(self, "out_channels", channels), *map(formula, size, *window[:4])

    def multiply_adds(self, *shapes):
        """Multiply-adds of one forward, for one picture, from the shapes (C, H, W) of the maps it reads.

        By the layer's definition and not by the algorithm. A comparison, an addition and a copy count nothing.
        """
        return 0

    @default
    def in_place(self):
        """Whether it makes no map of its own in memory: it can write over its input, or hands on a part of it."""
        return self.pointwise

    @default
    def kind(self):
        """What it is, in a few words for a table: "conv 3x3 pad 100". Default: the class's name and the window."""
        name = type(self).__name__.lower()
        return name if self.pointwise or self.window is None else f"{name} {self.window}"

    # --- parameters ----------------------------------------------------------------------------------------

    def add_param(self, name, array):
        """Register a learnable array and its gradient, zero to begin with."""
        self.params[name] = array
        self.grads[name] = zeros_beside(array)

    def accumulate(self, name, gradient):
        """Add to one parameter's gradient, which has the parameter's dtype."""
        self.gradient_of(name)[...] += gradient

    def gradient_of(self, name):
        """The live array that one parameter's gradient is added to, in the parameter's dtype."""
        if self.grads[name].dtype != self.params[name].dtype:  # the parameter was replaced by one of another dtype
            self.grads[name] = self.grads[name].astype(self.params[name].dtype)
        return self.grads[name]

    def zero_grad(self):
        """Set every gradient to zero."""
        for gradient in self.grads.values():
            gradient[...] = 0

    # --- mode and place ------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Switch to training mode (or, with False, to eval mode); returns the layer."""
        self.training = mode
        if not mode:
            self._cache = None
        return self

    def eval(self):
        """Switch to eval mode: forward keeps nothing, dropout passes everything; returns the layer."""
        return self.train(False)

    def prepare(self, mode=True, *, wide=False):
        """Make ready for many forwards with weights that stay: what follows from them alone is computed now and not at
        every forward. It takes memory, see Conv2d.prepare. The weights it was made of are read-only, so that it stays
        true, until train(), load_state_dict() or prepare(False) gives it up. Returns the layer.

        wide   also where there are more weights than patches: FCN's fc6, in half its time for 0.5 GiB
        Raises: RuntimeError in training mode, in which every step changes the weights.
        """
        if mode and self.training:
            raise RuntimeError(f"{self.label}.prepare is for eval mode, in which weights stay: call eval() first")
        return self

    def to(self, device):
        """Move parameters and gradients to "cpu" or "cuda"; what forward kept is dropped. Returns the layer."""
        for arrays in (self.params, self.grads):
            for name in arrays:
                arrays[name] = to_device(arrays[name], device)
        self._cache = None
        return self

    def astype(self, dtype):
        """Convert parameters and gradients, say to float64 for a gradient check. Returns the layer."""
        for arrays in (self.params, self.grads):
            for name in arrays:
                arrays[name] = arrays[name].astype(dtype)
        self._cache = None
        return self

    def use(self, workspace):
        """Let large arrays come from a workspace.Workspace, which uses memory again; None: from NumPy, always new.
        Returns the layer."""
        self.workspace = workspace
        return self

    def generators(self):
        """The random generators this layer draws from, by name: part of what a checkpoint must hold."""
        return {}

    # --- saving --------------------------------------------------------------------------------------------

    def state_dict(self):
        """Copies of all parameters, on the host, under their names."""
        return {name: np.array(to_numpy(array)) for name, array in self.params.items()}

    def load_state_dict(self, state, strict=True):
        """Copy arrays into the parameters of the same names; everything is compared before anything is copied.

        strict   also refuse names that are missing or unknown. A shape that differs is always refused.
        Raises: ValueError that lists every difference.
        """
        differences = []
        if strict:
            differences += [f"missing: {name}" for name in self.params if name not in state]
            differences += [f"unknown: {name}" for name in state if name not in self.params]
        shared = [name for name in self.params if name in state]
        for name in shared:
            ours, theirs = self.params[name], state[name]
            if tuple(ours.shape) != tuple(np.shape(theirs)):
                differences.append(f"{name} has shape {tuple(ours.shape)} here, {tuple(np.shape(theirs))} there")
        if differences:
            raise ValueError(f"the state does not fit {self.label}: " + "; ".join(differences))
        self.prepare(False)
        for name in shared:
            ours = self.params[name]
            ours[...] = get_array_module(ours).asarray(state[name])

    def __repr__(self):
        return self.label


def fills(shape, target):
    """Whether an array of this shape fills a parameter of shape `target`.

    The shapes are equal, or a fully connected layer's (F, C*k*k) fills a convolution's (F, C, k, k). Comparing only the
    number of elements would not do, since a weight stored in another order has the same number.
    """
    flat = len(shape) == 2 and len(target) == 4 and shape == (target[0], math.prod(target[1:]))
    return flat or tuple(shape) == tuple(target)


def zeros_beside(array):
    """Zeros that lie in memory as the array does. Unlike zeros_like's they take none before they are written to, and
    in a network that only runs they never are."""
    order, back = memory_order(array)
    return get_array_module(array).zeros([array.shape[axis] for axis in order], array.dtype).transpose(back)
