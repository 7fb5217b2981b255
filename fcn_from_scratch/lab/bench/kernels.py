"""Each CUDA kernel measured alone, beside CuPy's functions for the same computation."""

import time
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.lab.bench.budget import LateError
from fcn_from_scratch.lab.bench.clocks import CupyClock
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes
from fcn_from_scratch.lab.bench.measuring import Ceilings, beside, part_rows
from fcn_from_scratch.lab.bench.timing import GPU_ROUNDS, Turns
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

    work      the Work whose network gives the arrays their sizes
    rows      for each kernel two Rows, ours and CuPy's; `part` is the kernel's name
    facts     kernel -> (size, by) of its KernelCase
    left_out  the kernels that did not fit into the budget
    """

    work: object
    rows: list
    facts: dict
    ceilings: Ceilings
    left_out: tuple = ()


def measure_kernels(work, settings, tell=None, ceilings=None):
    """Measure all CASES with the sizes of a Work's network; returns a KernelResult. Settings as for bench.measure.

    tell      called with the KernelResult so far after each kernel
    ceilings  Ceilings that were measured before; None: measure them
    """
    tell, end = tell or (lambda result: None), settings.budget.end
    with settings.process(KernelRival, work, title="a kernel", wait=False) as process:
        if ceilings is None:
            with settings.ceilings() as ceiling:
                ceiling.ready()
                _, ceilings = beside(ceiling, {}, Turns(settings.repeats or GPU_ROUNDS))
        process.ready()
        result, names = KernelResult(work, [], {}, ceilings), list(CASES)
        for number, name in enumerate(bar(names, disable=not settings.progress, unit="kernel", desc="kernels")):
            now = time.monotonic()
            turns = settings.turns(now + (end - now) / (len(names) - number))
            try:
                if now >= end:
                    raise LateError
                result = _with(result, name, process, turns)
            except LateError:
                return result._replace(left_out=tuple(names[number:]))
            tell(result)
    return result


def _with(result, name, process, turns):
    """The KernelResult with one kernel more."""
    size, by, moved, flops = process.ask("take", name)
    calls = {"cuda": (process, "ours"), "cupy": (process, "theirs")}
    rows = part_rows(name, calls, turns, flops, moved)
    return result._replace(rows=result.rows + rows, facts={**result.facts, name: (size, by)})
