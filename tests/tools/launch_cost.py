"""Microseconds of the host's time that one launch takes, without the kernel: what a GPU waits for if it has no work.

python tests/tools/launch_cost.py          three kernels, with both kinds of arrays
python tests/tools/launch_cost.py --all    every kernel, as fcn bench --kernels calls it, with NumPy's arrays

The kernel is replaced by a function that does nothing. The arrays are NumPy's, in the emulator's place, and the
stand-in's for CuPy, whose attributes are slower than CuPy's. The time is the processor's, and the least of many rounds.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "tools")]

from fcn_from_scratch import kernels  # noqa: E402
from fcn_from_scratch.kernels import emulator, launch  # noqa: E402
from fcn_from_scratch.lab.bench import Work  # noqa: E402
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes  # noqa: E402

ROUNDS, CALLS = 200, 50
WORK = Work("mini_fcn8s", (44, 60), options={"width": 4})  # small: memory for results is new in each call


class Nothing:
    """A RawModule whose kernels do nothing."""

    def __init__(self, **_):
        pass

    def get_function(self, name):
        return lambda grid, block, arguments: None


def cases(asarray):
    """name -> function that launches one kernel, with small arrays."""
    x, bias, y = (asarray(np.zeros(size, np.float32)) for size in ((1, 4, 5, 8), (8,), (1, 4, 5, 8)))
    weight, velocity, grad = (asarray(np.zeros((3, 4), np.float32)) for _ in range(3))
    return {
        "im2col": lambda: kernels.im2col(x, slice(0, 4), 5, (3, 3), (1, 1), (1, 1), (1, 1)),
        "bias_relu": lambda: kernels.bias_relu(x, bias, y),
        "sgd": lambda: launch.launch("sgd", 12, weight, velocity, grad, 12, 0.9, 0.1, 0.01),
    }


def microseconds(call):
    """The least processor time of one call."""
    best = np.inf
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        for _ in range(CALLS):
            call()
        best = min(best, (time.process_time_ns() - started) / CALLS / 1000)
    return best


def all_kernels():
    """Print the cost of each kernel's call, results included."""
    print(f"{'kernel':28}microseconds a call")
    with emulator.emulated():
        for name, make in CASES.items():
            print(f"{name:28}{microseconds(make(Sizes(WORK), np, np.random.default_rng(0)).ours):10.1f}", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every kernel")
    every = parser.parse_args(arguments).all
    import standin

    emulator.RawModule = standin.RawModule = Nothing
    if every:
        all_kernels()
        return
    print(f"{'kernel':12}{'NumPy arrays':>14}{'stand-in':>12}   microseconds a launch")
    sys.modules["cupy"] = standin
    with emulator.emulated():
        on_numpy = {name: microseconds(call) for name, call in cases(np.asarray).items()}
    on_standin = {name: microseconds(call) for name, call in cases(standin.asarray).items()}
    for name, cost in on_numpy.items():
        print(f"{name:12}{cost:14.1f}{on_standin[name]:12.1f}")


if __name__ == "__main__":
    main()
