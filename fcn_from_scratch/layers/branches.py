"""Several chains side by side on one map: the module that GoogLeNet is made of."""

from fcn_from_scratch.layers.container import Container, Sequential
from fcn_from_scratch.layers.fusion import Concat


class Branches(Container):
    """Chains that read the same map; what they make is stacked along the channels.

    y = concat(branch_1(x), ..., branch_n(x)),   dx = dx_1 + ... + dx_n

    Backward hands each chain its own channels of dy. One map feeds all of them, so its gradient is their sum.
    branches     lists of layers with names, and one name for each layer of all of them; the outputs of the chains have
                 one size. The last layer with channels of each chain says how many the chain contributes.
    out_channels of y
    Names are Caffe's: after the module a slash, as in "inception_3a/5x5_reduce.weight"; "output" is what is stacked.
    Shapes: x (N, C, H, W); y (N, out_channels, H', W').
    Source: Szegedy et al. 2015, Going deeper with convolutions, section 4. Lesson 15.
    """

    separator = "/"

    def __init__(self, *branches, name=None):
        if not branches:
            raise ValueError("Branches needs at least one chain of layers")
        self.branches = [Sequential(*branch) for branch in branches]
        children = {}
        for branch in self.branches:
            for key, layer in branch.children.items():
                if key in children or key == "output":
                    raise ValueError(f"the layers of all branches have names of their own; {key!r} is taken")
                children[key] = layer
        self.output = Concat()
        super().__init__({**children, "output": self.output}, name)
        for key, layer in self.children.items():
            layer.name = f"{name}/{key}" if name else key
        self.out_channels = sum(_out_channels(branch) for branch in self.branches)

    def forward(self, x):
        return self.output(*(branch(x) for branch in self.branches))

    def backward(self, dy):
        return sum(branch.backward(part) for branch, part in zip(self.branches, self.output.backward(dy)))


def _out_channels(branch):
    for layer in reversed(branch.layers):
        if hasattr(layer, "out_channels"):
            return layer.out_channels
    raise ValueError("each branch has a convolution, which says how many channels it contributes")
