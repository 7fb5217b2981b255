"""What tests let run in a process of its own (bench.processes), which imports it from here by name."""

import os

from fcn_from_scratch.lab.bench import gpu


class Full:
    """Runs out of a GPU's memory as CuPy, PyTorch and CUDA itself say it."""

    def say(self, kind, text):
        raise kind(text)


class Timed:
    """Has a clock and a peak of its own."""

    def clock(self, call, calls, ahead):
        for _ in range(calls):
            call()
        return calls * (7.0 if ahead else 3.0)

    def work(self):
        pass

    def peak(self):
        return 12345


class Environment:
    """Says what its process was started with."""

    def get(self, name):
        return os.environ.get(name)

    def allowed(self):
        return gpu.tf32_allowed()
