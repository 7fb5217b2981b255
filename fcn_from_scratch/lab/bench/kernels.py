"""Each CUDA kernel measured alone, beside CuPy's functions for the same computation."""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes
from fcn_from_scratch.lab.bench.measuring import Ceilings, beside, compared
from fcn_from_scratch.lab.bench.timing import ROUNDS
from fcn_from_scratch.progress import bar


class KernelRival:
    """Runs one KernelCase at a time: `take` chooses it, then `ours` and `theirs` are timed."""

    def __init__(self, work):
        self.cupy, self.sizes, self.case = device_module("cuda"), Sizes(work), None
        self.clock = CupyClock(self.cupy)

    def take(self, name):
        """Make the arrays of one kernel's case; returns its (size, by, moved, flops)."""
        self.case = None  # frees the arrays of the case before
        self.case = CASES[name](self.sizes, self.cupy, np.random.default_rng(0))
        return self.case.size, self.case.by, self.case.moved, self.case.flops

    def ours(self):
        self.case.ours()

    def theirs(self):
        self.case.theirs()


class KernelResult(NamedTuple):
    """The measurements of all kernels.

    work   the Work whose network gives the arrays their sizes
    rows   for each kernel two Rows, ours and CuPy's; `part` is the kernel's name
    facts  kernel -> (size, by) of its KernelCase
    """

    work: object
    rows: list
    facts: dict
    ceilings: Ceilings


def measure_kernels(work, settings):
    """Measure all CASES with the sizes of a Work's network; returns a KernelResult. Settings as for bench.measure."""
    rows, facts = [], {}
    with settings.process(KernelRival, work, title="a kernel") as process:
        with settings.ceilings() as ceiling:
            _, ceilings = beside(ceiling, {}, settings.repeats or ROUNDS[0])
        for name in bar(CASES, disable=not settings.progress, unit="kernel", desc="kernels"):
            *facts[name], moved, flops = process.ask("take", name)
            calls = {
                rival: lambda n, method=method: process.seconds(method, n, ahead=True)
                for rival, method in (("cuda", "ours"), ("cupy", "theirs"))
            }
            rows += compared(name, settings.in_turn(calls), flops, moved)
    return KernelResult(work, rows, facts, ceilings)
