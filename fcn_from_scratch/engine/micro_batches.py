"""A batch cut into parts of a few pictures. Each thread or process takes its part through the whole network.

With the whole batch at once, the threads share the work of every layer and wait for each other at its end. In a
lesson-size network this waiting takes as long as the work. The maps also leave the processor's cache before the next
layer reads them. With one part for each thread, the threads wait only once a step, when the gradients are added up. In
a long training, processes compute the parts instead (part_processes).

The first part adds to the model's gradients. Each other part has its own gradients, which are then added in the order
of the parts. So a run repeats bit for bit, and does not depend on the number of threads and processes.
"""

import collections
import contextlib
import math
import time

import numpy as np

from fcn_from_scratch.backend import is_plain
from fcn_from_scratch.engine import loss_shares, part_processes, threads
from fcn_from_scratch.engine.replica import replica, with_gradients
from fcn_from_scratch.engine.workspace import Workspace

LEAST_PIXELS = 1 << 14  # in all pictures of one part; with fewer, Python's overhead takes most of the time
MOST_PIXELS = 1 << 15  # in a part of more than one picture
MOST_NUMBERS = 1 << 20  # in the parameters; with more, the gradients of each part cost as much time as the parts save
PATIENCE = 30.0  # seconds to wait for processes to start, when that is asked for
PACKAGE = __name__.partition(".")[0]
METHODS = frozenset(("forward", "backward", "backward_params", "_forward", "_backward"))


class MicroBatches:
    """Runs a model on the parts of a batch, several at a time."""

    def __init__(self, model):
        self.model = model
        self._workspaces = []  # the workspaces that no thread uses now
        self._processes = part_processes.shared()
        self._by_threads = False  # whether processes could not do the work

    def cut(self, x):
        """Return the parts of a batch x (N, ...), as slices.

        There is a single part if more parts gain nothing (few pixels, a large network, a GPU), inside `plain()`, and if
        a layer may look at the whole batch, as batch normalisation does: see `uncut`.
        """
        if isinstance(x, np.ndarray) and not is_plain() and self.uncut is None and _numbers(self.model) <= MOST_NUMBERS:
            size = math.prod(x.shape[2:])
            at_once = max(MOST_PIXELS // size, 1)
            return threads.split(len(x), min(max(-(-len(x) // at_once), 2), len(x) * size // LEAST_PIXELS))
        return [slice(0, len(x))]

    @property
    def uncut(self):
        """Why no batch is cut, as a sentence, or None.

        A batch is not cut if this package did not make one of the layers, and the layer does not declare that it works
        picture by picture. It is not cut either if such a layer holds layers of which the network does not know: their
        gradients and random numbers could not be brought together.
        """
        known = list(loss_shares.layers(self.model))
        for layer in known:
            if as_written_here(layer):
                continue
            name = getattr(layer, "label", type(layer).__name__)
            if not _inner_layers(layer) <= set(map(id, known)):
                return (
                    f"{name} holds layers that are not among its children, so no batch is cut into parts. "
                    "Make it a layers.Container of them"
                )
            if not _per_picture(layer):
                return (
                    f"{name} may look at the whole batch, so no batch is cut into parts. If each of "
                    "its outputs depends on one picture only, without random numbers, declare per_picture = True"
                )
        return None

    @threads.one_blas_thread
    def run(self, slices, work, arguments):
        """Call work(model, *arguments[number]) for each part. The first part gets the model, each other part a replica
        of it, in a thread or in a process (part_processes).

        Afterwards the sum of all gradients is added to the model's own. Its random generators are in the state that the
        whole batch would leave: each part passes over the numbers of the others. Returns: the list of work's results.
        """
        begin, total = time.perf_counter(), slices[-1].stop
        own = [self.model, *(replica(self.model) for _ in slices[1:])]
        skips = [(layer.skip_before, layer.skip_after) for layer in loss_shares.dropouts(self.model)]
        for part, model in zip(slices, own if skips else ()):
            for layer, (before, after) in zip(loss_shares.dropouts(model), skips):
                layer.skip_before, layer.skip_after = before + part.start, after + total - part.stop
        may_leave = self._may_leave()
        lent = self._processes.lent() if may_leave else contextlib.nullcontext(part_processes.NOBODY)
        try:
            with lent as crew:
                results = self._all(own, work, arguments, crew)
        finally:
            for layer, (before, after) in zip(loss_shares.dropouts(self.model), skips):
                layer.skip_before, layer.skip_after = before, after
        self._by_threads = self._by_threads or crew.failed
        if may_leave:
            self._processes.count(time.perf_counter() - begin, work)
        return results

    def start_processes(self, x, work):
        """Start the processes now if they would take parts of a batch like x, and wait for them. Returns: their ids."""
        if len(self.cut(x)) > 1 and self._may_leave():
            self._processes.start(work, PATIENCE)
        return self._processes.ids()

    def _may_leave(self):
        """Whether a process can compute a part. It has this package's code, but not what a user wrote."""
        return not self._by_threads and all(map(as_written_here, loss_shares.layers(self.model)))

    def _all(self, own, work, arguments, crew):
        """Compute the parts and add up their gradients. `own` has the model of each part. Returns: the results."""
        done, lent = [None] * len(own), []

        @threads.one_blas_thread
        def one(number, workspace):
            model, own[number] = own[number], None  # so what it keeps for backward is freed with it
            if number > 0:
                with_gradients(model).use(workspace)
            result = work(model, *arguments[number])
            done[number] = result, [layer.grads for layer in loss_shares.leaves(model)]

        try:
            if crew is part_processes.NOBODY:
                threads.run(one, range(len(own)), lambda: self._lend(lent))
            else:
                workspace = self._lend(lent)
                _share(
                    done,
                    crew,
                    lambda number: crew.begin(number, work, own[number], arguments[number]),
                    lambda number: threads.as_item(lambda: one(number, workspace)),
                )
        finally:
            self._workspaces += lent
        for layer, *grads in zip(loss_shares.leaves(self.model), *(grads for _, grads in done[1:])):
            for name in layer.grads:
                mine = layer.gradient_of(name)
                for gradient in grads:
                    mine += gradient[name]
        return [result for result, _ in done]

    def _lend(self, lent):
        lent.append(self._workspaces.pop() if self._workspaces else Workspace())
        return lent[-1]


def _share(done, crew, begin, compute):
    """Share out the parts: this process takes them from the first one on, the others from the last one on.

    done     a list with a place for the answer of each part
    begin    a function that gives a part to a process of the crew, if one has fewer than AHEAD. Returns: whether it did
    compute  a function that computes a part here, and fills its place
    """
    left, given = collections.deque(range(len(done))), []
    while left:
        crew.look()
        while len(left) > 1 and begin(left[-1]):
            given.append(left.pop())
        compute(left.popleft())
    for number in given:
        done[number] = crew.end(number)
        if done[number] is None:
            compute(number)


def _inner_layers(layer):
    """The ids of the innermost layers that a layer's attributes hold, also in lists and dicts."""
    held = []
    for value in vars(layer).values():
        held += value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    inside = (each for value in held if hasattr(value, "_params") for each in loss_shares.layers(value))
    return {id(each) for each in inside if not getattr(each, "children", None)}


def _numbers(model):
    return sum(array.size for array in model.params.values())


def as_written_here(layer):
    """Whether a layer is of this package, and none of its methods was replaced or overridden by a user's."""
    return METHODS.isdisjoint(vars(layer)) and type(layer).__module__.partition(".")[0] == PACKAGE


def _per_picture(layer):
    """Whether each output of a user's layer follows from one picture alone, as its class says.

    A user's layer that draws random numbers does not pass over those of other parts (layers.Dropout does). Its
    children are asked for themselves.
    """
    declared = vars(type(layer)).get("per_picture", False) and METHODS.isdisjoint(vars(layer))
    of_children = [g for child in getattr(layer, "children", {}).values() for g in child.generators().values()]
    return declared and set(map(id, layer.generators().values())) <= set(map(id, of_children))
