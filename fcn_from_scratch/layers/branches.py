"""Several chains that read one map, such as the modules of GoogLeNet."""

from fcn_from_scratch.layers.container import Container, Sequential
from fcn_from_scratch.layers.fusion import Concat


class Branches(Container):
    """Chains that read the same map. Their outputs are stacked along the channels.

    y = concat(branch_1(x), ..., branch_n(x)),   dx = dx_1 + ... + dx_n

    Backward gives each chain its own channels of dy. All chains read x, so its gradient is the sum of theirs.
    branches      lists of layers. All layers have different names, and the outputs of the chains have one size. The
                  last layer of a chain that has out_channels says how many channels the chain contributes
    out_channels  the number of channels of y
    Names are Caffe's, with a slash after the module: "inception_3a/5x5_reduce.weight". "output" is the stacking layer.
    Shapes: x (N, C, H, W); y (N, out_channels, H', W').
    Source: Szegedy et al. 2015, Going deeper with convolutions, section 4. Lesson 15.
    """

    separator = "/"

    def __init__(self, *branches, name=None):
        if not branches:
            raise ValueError("Branches needs at least one chain of layers")
        for branch in branches:
            if not isinstance(branch, (list, tuple)):
                raise ValueError(f"each branch must be a list of layers; got {type(branch).__name__}")
        self.branches = [Sequential(*branch) for branch in branches]
        children = {}
        for branch in self.branches:
            for key, layer in branch.children.items():
                if key in children or key == "output":
                    raise ValueError(f"the layers of all branches must have different names; {key!r} is taken")
                children[key] = layer
        self.output = Concat()
        super().__init__({**children, "output": self.output}, name)
        for key, layer in self.children.items():
            layer.name = f"{name}/{key}" if name else key
        self.out_channels = sum(_out_channels(branch) for branch in self.branches)

    def forward(self, x):
        maps = [branch(x) for branch in self.branches]
        if len({y.shape[2:] for y in maps}) > 1:
            ends = (f"{b.layers[-1].label} {y.shape[2]}x{y.shape[3]}" for b, y in zip(self.branches, maps))
            raise ValueError(f"{self.label} stacks maps of one size; its branches end with {', '.join(ends)}")
        return self.output(*maps)

    def backward(self, dy):
        return sum(branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy)))


def _out_channels(branch):
    for layer in reversed(branch.layers):
        if hasattr(layer, "out_channels"):
            return layer.out_channels
    raise ValueError("each branch needs a convolution, which says how many channels the branch contributes")
