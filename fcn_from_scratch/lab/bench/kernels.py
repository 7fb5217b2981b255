"""Every kernel alone, beside what CuPy would do in its place."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.kernel_cases import PIECES, Sizes
from fcn_from_scratch.lab.bench.measuring import Ceilings, beside, compared
from fcn_from_scratch.lab.bench.timing import ROUNDS
from fcn_from_scratch.progress import bar


class KernelRival:
    """Both sides of one Piece after another: `take` one, then time `ours` and `theirs`."""

    def __init__(self, work):
        self.cupy, self.sizes, self.piece = device_module("cuda"), Sizes(work), None
        self.clock = CupyClock(self.cupy)

    def take(self, name):
        """Make the arrays of one kernel; returns (size, by, moved, flops) of its Piece."""
        self.piece = None  # gives the arrays before back first
        self.piece = PIECES[name](self.sizes, self.cupy, np.random.default_rng(0))
        return self.piece.size, self.piece.by, self.piece.moved, self.piece.flops

    def ours(self):
        self.piece.ours()

    def theirs(self):
        self.piece.theirs()


class KernelResult(NamedTuple):
    """What was measured of the kernels on arrays of a work's sizes.

    rows   pairs of Rows, ours and CuPy's; `part` is the kernel's name
    facts  kernel -> (size, by), see Piece
    """

    work: object
    rows: list
    facts: dict
    ceilings: Ceilings


def measure_kernels(work, settings):
    """The KernelResult of all PIECES with the sizes of a Work's network; settings as for bench.measure."""
    rows, facts = [], {}
    with settings.process(KernelRival, work, title="a kernel") as process:
        with settings.ceilings() as ceiling:
            _, ceilings = beside(ceiling, {}, settings.repeats or ROUNDS[0])
        for name in bar(PIECES, disable=not settings.progress, unit="kernel", desc="kernels"):
            *facts[name], moved, flops = process.ask("take", name)
            calls = {
                rival: lambda n, method=method: process.seconds(method, n, ahead=True)
                for rival, method in (("cuda", "ours"), ("cupy", "theirs"))
            }
            rows += compared(name, settings.in_turn(calls), flops, moved)
    return KernelResult(work, rows, facts, ceilings)
