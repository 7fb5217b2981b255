"""A batch cut into parts of a few pictures, each of which a thread takes through the whole network alone.

With the whole batch at once the threads share out the work of every layer, and wait for each other at its end; in a
lesson-size network that takes as long as the work. And its maps leave the processor's cache before the next layer reads
them. With a part for each, the threads meet once a step, where the gradients are added up.

The first part adds to the model's gradients. Each other one has gradients of its own, which are then added in the order
of the parts. So a run repeats bit for bit, and does not depend on the number of threads.
"""

import math

import numpy as np

from fcn_from_scratch.engine import loss_shares, threads
from fcn_from_scratch.engine.replica import twin
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import Layer

LEAST_PIXELS = 1 << 14  # of the pictures of one part, together: with fewer, Python's own work is most of it
MOST_PIXELS = 1 << 15  # of a part that has more than one picture
MOST_NUMBERS = 1 << 20  # in the parameters: with more, a gradient for each part costs what the parts gain
PACKAGE = __name__.partition(".")[0]
METHODS = frozenset(("forward", "backward", "backward_params", "_forward", "_backward"))


class MicroBatches:
    """Runs a model on the parts of a batch, several at a time."""

    def __init__(self, model):
        self.model = model
        self._workspaces = []  # those that no thread uses

    def cut(self, x):
        """The parts of a batch x (N, ...), a list of slices: two or more, or a single one where they would gain nothing
        (few pixels, a large network, a GPU) or could change the result.

        A layer that a reader wrote may look at the whole batch, as batch normalisation does: only a network made of
        this package's layers is cut.
        """
        if isinstance(x, np.ndarray) and _ours(self.model) and _numbers(self.model) <= MOST_NUMBERS:
            size = math.prod(x.shape[2:])
            at_once = max(MOST_PIXELS // size, 1)
            return threads.split(len(x), min(max(-(-len(x) // at_once), 2), len(x) * size // LEAST_PIXELS))
        return [slice(0, len(x))]

    @threads.one_blas_thread
    def run(self, slices, work):
        """work(number, model) for each part: the first gets the model, the others each a twin of it, a model of its own
        on the same parameters. Then the model has the sum of all their gradients added to its own, and its generators
        stand where the whole batch leaves them. Returns the list of what work returned."""
        done, total = [None] * len(slices), slices[-1].stop
        own = [self.model, *(twin(self.model) for _ in slices[1:])]
        others = [layer.others for layer in loss_shares.dropouts(self.model)]
        for part, model in zip(slices, own if others else ()):
            for layer, (before, after) in zip(loss_shares.dropouts(model), others):
                layer.others = before + part.start, after + total - part.stop

        @threads.one_blas_thread
        def one(number, workspace):
            model, own[number] = own[number], None  # what it keeps for backward goes with it
            if number > 0:
                model.use(workspace)
            done[number] = work(number, model), [layer.grads for layer in _leaves(model)], model.generators()

        lent = []
        try:
            threads.run(one, range(len(slices)), lambda: self._lend(lent))
        finally:
            self._workspaces += lent
            for layer, mine in zip(loss_shares.dropouts(self.model), others):
                layer.others = mine
        for layer, *grads in zip(_leaves(self.model), *(each for _, each, _ in done[1:])):
            for name in layer.grads:
                mine = layer.gradient_of(name)
                for gradient in grads:
                    mine += gradient[name]
        for name, generator in self.model.generators().items():  # each part has passed over the numbers of all others
            generator.bit_generator.state = done[-1][2][name].bit_generator.state
        return [result for result, _, _ in done]

    def _lend(self, lent):
        lent.append(self._workspaces.pop() if self._workspaces else Workspace())
        return lent[-1]


def _leaves(model):
    """The layers that hold the parameters, each once."""
    return list({id(layer._grads): layer for layer in loss_shares.layers(model) if layer._grads}.values())


def _numbers(model):
    return sum(array.size for array in model.params.values())


def _ours(model):
    """Whether all is made of this package's layers, none of whose methods was replaced."""
    return isinstance(model, Layer) and all(
        type(layer).__module__.partition(".")[0] == PACKAGE and METHODS.isdisjoint(vars(layer))
        for layer in loss_shares.layers(model)
    )
