"""Layers that consist of layers: a container, which gives their parameters dotted names, and a chain."""

from fcn_from_scratch.backend import is_plain
from fcn_from_scratch.layers import fused
from fcn_from_scratch.layers.base import Layer


class Container(Layer):
    """A layer whose parameters are those of its children, under dotted names such as "conv1_1.weight".

    `children` is a dict name -> layer. Subclasses define forward and backward with it.
    """

    def __init__(self, children, name=None):
        super().__init__(name)
        self.children = dict(children)
        if len(set(map(id, self.children.values()))) < len(self.children):
            raise ValueError("one layer is in two places, but it keeps only one input: make a layer for each place")
        names = [key + child.separator + name for key, child in self.children.items() for name in child.params]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two parameters would be called {name!r}; give one of their layers another name")
        for key, child in self.children.items():
            child.name = child.name or key

    @property
    def params(self):
        return self._gather(lambda child: child.params)

    @property
    def grads(self):
        return self._gather(lambda child: child.grads)

    def generators(self):
        """All random generators of the children, under dotted names."""
        return self._gather(lambda child: child.generators())

    def train(self, mode=True):
        for child in self.children.values():
            child.train(mode)
        return super().train(mode)

    def forget(self):
        for child in self.children.values():
            child.forget()
        return super().forget()

    def use(self, workspace):
        for child in self.children.values():
            child.use(workspace)
        return super().use(workspace)

    def prepare(self, mode=True):
        for child in self.children.values():
            child.prepare(mode)
        return super().prepare(mode)

    def to(self, device):
        for child in self.children.values():
            child.to(device)
        self._cache = None
        return self

    def astype(self, dtype):
        for child in self.children.values():
            child.astype(dtype)
        self._cache = None
        return self

    def _gather(self, what):
        """One dict of all the children's dicts, under dotted names."""
        return {key + child.separator + n: a for key, child in self.children.items() for n, a in what(child).items()}

    def __repr__(self):
        lines = [f"  {key}: {child!r}".replace("\n", "\n  ") for key, child in self.children.items()]
        return "\n".join([f"{self.label}(", *lines, ")"])


def is_chain(layer):
    """Whether the layer runs its children one after the other, and does nothing else: a Sequential.

    A subclass with a forward of its own, such as a residual block, is no chain: what it computes is not known.
    """
    return isinstance(layer, Sequential) and has_known_forward(layer)


def has_known_forward(layer):
    """Whether the layer's forward was written in this package: no subclass or instance replaced it."""
    package = __name__.partition(".")[0]
    return "forward" not in vars(layer) and type(layer).forward.__module__.partition(".")[0] == package


class Sequential(Container):
    """A chain. forward runs the layers in order, backward in reverse order.

    The engine may run several layers in one pass over memory (layers.fused). The backward of each layer still gives the
    gradient of that layer alone. Layers without a name get their number as the name.
    """

    def __init__(self, *layers, name=None):
        for number, layer in enumerate(layers):
            if isinstance(layer, (list, tuple)):
                raise ValueError(
                    f"Sequential takes layers, not lists of them: Sequential(*layers); number {number} is one"
                )
        names = [layer.name or str(number) for number, layer in enumerate(layers)]
        for key in names:
            if names.count(key) > 1:
                raise ValueError(f"the layers of a Sequential must have different names; {key!r} occurs twice")
        super().__init__(dict(zip(names, layers)), name)

    @property
    def layers(self):
        """The chain, as a list."""
        return list(self.children.values())

    def forward(self, x):
        if not is_plain():
            return fused.forward(self.children, x)[0]
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def backward_params(self, dy):
        first, *rest = self.layers
        for layer in reversed(rest):
            dy = layer.backward(dy)
        first.backward_params(dy)
