"""The base class of all layers and models, with forward, backward, parameters, gradients and a mode.

The contract
------------
forward(x)    computes y. In training mode it keeps what backward needs; in eval mode it keeps nothing.
backward(dy)  returns dx and ADDS to `grads`. The sum is needed for a trunk that feeds two heads, for a layer that two
              heads share, and for accumulated batches. `zero_grad()` sets `grads` to zero.
params, grads are insertion-ordered dicts of the live arrays, under the same names ("weight", "bias"). In a container
              the names are dotted ("conv1_1.weight"). The dotted names are the keys of a checkpoint.

There is no autograd. Each layer's derivative is written next to its forward. Where two layers read one array, the
backward of the container adds the two gradients in its code.

A layer also declares how it changes the size of a map: see the section on geometry in Layer.
"""

import math

import numpy as np

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import get_array_module, is_plain, memory_order, to_device, to_numpy
from fcn_from_scratch.layers.prepared import release
from fcn_from_scratch.layers.window import ONE_PIXEL, declared_window
from fcn_from_scratch.ops import shapes


class default:
    """A property that a subclass or an instance may replace by a plain value: window = Window(3), self.window = ..."""

    def __init__(self, value):
        self.value, self.__doc__ = value, value.__doc__

    def __get__(self, layer, owner):
        return self if layer is None else self.value(layer)


class Layer:
    """A layer. Subclasses define `_forward(x)`, returning (y, cache), and `_backward(dy, cache)`, returning dx."""

    separator = "."  # between the layer's name and the parameter's name in a dotted name

    def __init__(self, name=None):
        self.name = name
        self.training = True
        self.workspace = None
        self._params = {}
        self._grads = {}
        self._cache = None
        self._made = None

    @property
    def params(self):
        """The parameters: name -> live array, in the order they were made."""
        return self._params

    @property
    def grads(self):
        """The gradients: name -> live array, under the parameters' names."""
        return self._grads

    def forward(self, x):
        """Compute y. In training mode, also keep what backward needs."""
        with checks.naming(self):
            y, cache = self._forward(x)
        self.remember(cache, getattr(y, "shape", None))
        return y

    def __call__(self, x):
        return self.forward(x)

    def backward(self, dy):
        """Return dx, the gradient of the loss with respect to the last forward's input, and add to `grads`.

        Raises: RuntimeError when no forward in training mode came before; ValueError when dy does not have the shape
        of that forward's output.
        """
        return self._backward(dy, self.kept(dy))

    def backward_params(self, dy):
        """Add to `grads` like backward. The gradient with respect to the input is not returned and may be left out."""
        self.backward(dy)

    def remember(self, cache, shape=None):
        """Keep `cache` for backward, in training mode. backward then takes gradients of `shape` only, the output's."""
        self._cache, self._made = (cache, shape) if self.training else (None, None)

    def forget(self):
        """Drop what the last forward kept. backward then needs a new forward. Returns the layer."""
        self._cache = None
        return self

    def kept(self, dy=None):
        """Return what the last forward kept for backward.

        dy   the gradient that backward was given
        Raises: RuntimeError if nothing was kept; ValueError if dy does not have the shape of the output.
        """
        if self._cache is None:
            raise RuntimeError(
                f"{self.label}.backward was called before forward (in training mode): it needs what forward keeps"
            )
        if dy is not None and self._made is not None:
            checks.same_shape(dy, self._made, "dy", f"the last output of {self.label} has")
        return self._cache

    def _forward(self, x):
        raise TypeError(f"{type(self).__name__} defines no _forward(x)")

    def _backward(self, dy, cache):
        raise TypeError(f"{type(self).__name__} defines no _backward(dy, cache)")

    @property
    def label(self):
        """The layer as error messages name it: its class and, if it has one, its name."""
        return type(self).__name__ + (f" {self.name!r}" if self.name else "")

    # --- for geometry: each layer declares these, and its subclasses inherit them ------------------------------

    pointwise = False  # True: each output pixel depends only on the input pixel at the same position, as in a ReLU
    joins = False  # True: it reads any number of maps, which have the same size and position
    on_grid = True  # False: its output is not a map over the image; a vector is an example

    @default
    def window(self):
        """The Window that each output pixel reads. None means not declared; geometry then refuses the layer."""
        return ONE_PIXEL if self.pointwise else None

    def output_shape(self, shape):
        """(C, H, W) of the output for one picture of `shape` (C, H, W). A size below 1 means that there is no output.

        By default the size follows from the window, rounded down. The channels are `out_channels`, or those of the
        input if the layer has no such attribute. A layer that reads several maps takes a shape for each of them.
        Raises: ValueError when the layer declares no window.
        """
        window = declared_window(self)
        if window is None:
            raise ValueError(
                f"{self.label} does not say how large its output is. It must declare `window` or `output_shape`"
            )
        channels, *size = shape
        formula = shapes.conv_transpose_output_size if window.transposed else shapes.conv_output_size
        return getattr(self, "out_channels", channels), *map(formula, size, *window[:4])

    def multiply_adds(self, *shapes):
        """Multiply-adds of one forward for one picture. `shapes` are the shapes (C, H, W) of the maps it reads.

        The count follows the layer's definition, not the algorithm. Comparisons, additions and copies count zero.
        """
        return 0

    @default
    def in_place(self):
        """Whether it needs no new memory for its output: it can write over its input, or returns a part of it."""
        return self.pointwise

    @default
    def kind(self):
        """A few words for a table, such as "conv 3x3 pad 100". By default the class's name and the window."""
        name = type(self).__name__.lower()
        return name if self.pointwise or self.window is None else f"{name} {self.window}"

    # --- parameters ----------------------------------------------------------------------------------------

    def add_param(self, name, array):
        """Register a learnable array, and a gradient of zeros for it."""
        self.params[name] = array
        self.grads[name] = zeros_beside(array)

    def accumulate(self, name, gradient):
        """Add to the gradient of one parameter."""
        self.gradient_of(name)[...] += gradient

    def gradient_of(self, name):
        """The live array of one parameter's gradient. It has the parameter's dtype."""
        if self.grads[name].dtype != self.params[name].dtype:  # the parameter was replaced by one of another dtype
            self.grads[name] = self.grads[name].astype(self.params[name].dtype)
        return self.grads[name]

    def zero_grad(self):
        """Set every gradient to zero."""
        for gradient in self.grads.values():
            if is_plain():
                gradient[...] = 0
            else:
                engine.zero(gradient)

    # --- mode and place ------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Switch to training mode or, with False, to eval mode. Returns the layer."""
        self.training = mode
        if mode:
            self._release()
        else:
            self._cache = None
        return self

    def eval(self):
        """Switch to eval mode, in which forward keeps nothing and dropout passes everything. Returns the layer."""
        return self.train(False)

    def prepare(self, mode=True):
        """Prepare for many forwards with the same weights. Returns the layer.

        What depends on the weights alone is computed by the next forward and kept. It takes memory, see Conv2d.prepare.
        The weights become read-only, so that the prepared arrays stay right. train(), load_state_dict() and
        prepare(False) end this, and so does a step of the optimizer. If two layers share a weight, either may end it;
        both then compute with the weight itself.

        Raises: RuntimeError in training mode, in which every step changes the weights.
        """
        if mode and self.training:
            raise RuntimeError(f"{self.label}.prepare is for eval mode, in which weights stay: call eval() first")
        if not mode:
            self._release()
        return self

    def _release(self):
        """Let the layer's own parameters be changed, also where another layer that shares them was prepared."""
        for array in self._params.values():
            release(array)

    def to(self, device):
        """Move parameters and gradients to "cpu" or "cuda". What forward kept is dropped. Returns the layer."""
        for arrays in (self.params, self.grads):
            for name in arrays:
                arrays[name] = to_device(arrays[name], device)
        self._cache = None
        return self

    def astype(self, dtype):
        """Convert parameters and gradients, for example to float64 for a gradient check. Returns the layer."""
        for arrays in (self.params, self.grads):
            for name in arrays:
                arrays[name] = arrays[name].astype(dtype)
        self._cache = None
        return self

    def use(self, workspace):
        """Take the memory of large arrays from an engine.workspace.Workspace, which reuses it. Returns the layer.

        With None it comes from engine.workspace.COMMON, as by default.
        """
        self.workspace = workspace
        return self

    def generators(self):
        """The random generators of this layer, by name. A checkpoint has to hold their state."""
        return {}

    # --- saving --------------------------------------------------------------------------------------------

    def state_dict(self):
        """Copies of all parameters, on the host, under their names."""
        return {name: np.array(to_numpy(array)) for name, array in self.params.items()}

    def load_state_dict(self, state, strict=True):
        """Copy arrays into the parameters of the same names. All names and shapes are compared before the first copy.

        strict   also refuse missing and unknown names. A different shape is always refused.
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
    """Whether an array of this shape can fill a parameter of shape `target`.

    It can if the shapes are equal. A fully connected layer's (F, C*k*k) also fills a convolution's (F, C, k, k).
    Comparing the number of elements would not be enough: a weight that is stored in another order has the same number.
    """
    flat = len(shape) == 2 and len(target) == 4 and shape == (target[0], math.prod(target[1:]))
    return flat or tuple(shape) == tuple(target)


def zeros_beside(array):
    """Zeros with the array's shape, dtype and memory layout.

    Unlike those of zeros_like, they take no memory before something is written to them. A network that only runs
    forward never writes to its gradients.
    """
    order, back = memory_order(array)
    return get_array_module(array).zeros([array.shape[axis] for axis in order], array.dtype).transpose(back)
