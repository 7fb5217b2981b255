"""Every CUDA kernel's tests in one table: cases, and the worst difference from the definition.

python tests/tools/kernel_errors.py          on the CPU: the kernels' sources, built with g++
python tests/tools/kernel_errors.py --gpu    on a GPU

An error is |kernel - definition| / max(1, largest value of the definition), as the tests of tests/kernels have it.
Tests that compare a sum with its transpose, and those of refusals, count as cases and have no error here.
"""

import argparse
import platform
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
sys.path[:0] = [str(ROOT), str(TESTS / "tools")]

import arrays  # noqa: E402

from fcn_from_scratch.kernels import launch  # noqa: E402
from fcn_from_scratch.kernels.table import KERNELS  # noqa: E402


class Watch:
    """A pytest plugin: which kernels a test launches, and by how much its results differ."""

    def __init__(self):
        self.cases, self.errors, self.seen, self.failed = Counter(), defaultdict(float), set(), 0
        close, compiled = arrays.close, launch.compiled

        def watched_close(actual, expected, tolerance=1e-10):
            close(actual, expected, tolerance)
            actual, expected = np.asarray(arrays.to_numpy(actual)), np.asarray(expected)
            finite = np.isfinite(expected)
            if actual.dtype.kind == "f" and finite.any():
                scale = max(1.0, np.abs(expected[finite]).max())
                error = np.abs(actual[finite] - expected[finite]).max() / scale
                for name in self.seen:
                    key = name, actual.dtype.name
                    self.errors[key] = max(self.errors[key], error)

        def watched_compiled(*given):
            module = compiled(*given)
            return _Module(module, self.seen)

        watched_compiled.cache_clear = compiled.cache_clear
        arrays.close, launch.compiled = watched_close, watched_compiled

    def pytest_runtest_setup(self):
        self.seen.clear()

    def pytest_runtest_logreport(self, report):
        self.failed += report.failed
        if report.when == "call" and report.passed:
            self.cases.update(self.seen)


class _Module:
    def __init__(self, module, seen):
        self.module, self.seen = module, seen

    def get_function(self, name):
        self.seen.add(name)
        return self.module.get_function(name)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="on a GPU, by CuPy")
    gpu = parser.parse_args(arguments).gpu
    watch = Watch()
    marks = ["-m", "gpu" if gpu else "not gpu"]
    tests = [str(TESTS / "kernels" / name) for name in ("test_kernels.py", "test_random.py")]
    status = pytest.main(["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", *marks, *tests], [watch])
    if not watch.cases:
        sys.exit("no test ran: " + ("there is no GPU, or no CuPy" if gpu else "there is no g++"))
    print(f"\n{_device(gpu)}\n\n{'kernel':26} {'cases':>6}  {'float32':>9}  {'float64':>9}")
    for name in KERNELS:
        errors = [watch.errors.get((name, dtype)) for dtype in ("float32", "float64")]
        words = ["-" if error is None else f"{error:.1e}" for error in errors]
        print(f"{name:26} {watch.cases[name]:6}  {words[0]:>9}  {words[1]:>9}")
    print(f"\n{len(KERNELS)} kernels, {sum(watch.cases.values())} cases, {watch.failed} failed")
    return int(status)


def _device(gpu):
    if not gpu:
        return f"g++ on {platform.machine()}, both orders of threads"
    import cupy

    return f"{cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()}, CuPy {cupy.__version__}"


if __name__ == "__main__":
    sys.exit(main())
