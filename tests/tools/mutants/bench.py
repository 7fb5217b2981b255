"""Mistakes in fcn bench."""

from planting import Mutant

GPU_BENCH = "lab/bench/test_gpu_bench.py"

MUTANTS = [
    Mutant(
        "ratio upside down",
        "lab.bench.measuring.compared",
        "ratio=time.median / ours",
        "ratio=ours / time.median",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "an error of one sign is none",
        "lab.bench.measuring.deviation",
        "np.abs(scores - truth).max()",
        "(scores - truth).max()",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "the same rival is always first",
        "lab.bench.timing.order",
        "start = number % len(names)",
        "start = 0",
        "lab/bench/test_timing.py",
    ),
    Mutant(
        "threads not handed on",
        "lab.bench.processes.Process.__init__",
        "for name in THREADS}",
        "for name in THREADS[1:]}",
        "lab/bench/test_processes.py",
    ),
    Mutant(
        "a training step taken for a forward",
        "lab.bench.work.Work.multiply_adds",
        "times = 1 + self.train *",
        "times = 1 + False *",
        "lab/bench/test_work.py",
    ),
    Mutant(
        "nobody asks whether the device waited for the host",
        "lab.bench.clocks.EventClock._between",
        "waited = self.passed(start)",
        "waited = False",
        "lab/bench/test_clocks.py",
    ),
    Mutant(
        "an event's time is read before it happened",
        "lab.bench.clocks.EventClock._between",
        "end.synchronize()",
        "",
        "lab/bench/test_clocks.py",
    ),
    Mutant(
        "TF32 is on, and said to be off",
        "lab.bench.gpu.variables",
        '"CUPY_TF32": "1" if tf32 else "0",',
        '"CUPY_TF32": "1",',
        GPU_BENCH,
    ),
    Mutant(
        "TF32 is tried with a number it can hold",
        "lab.bench.gpu.FINE",
        "FINE = 1 + 2.0**-12",
        "FINE = 1 + 2.0**-9",
        GPU_BENCH,
    ),
    Mutant(
        "a copy is counted once",
        "lab.bench.gpu.GpuCeiling.amounts",
        '"copy": self.busy.nbytes',
        '"copy": self.busy[0].nbytes',
        GPU_BENCH,
    ),
    Mutant(
        "the farther ceiling is named",
        "lab.bench.measuring.Ceilings.share",
        "return max(shares)",
        "return min(shares)",
        "lab/bench/test_report.py",
    ),
    Mutant(
        "kernels that are said to be off",
        "lab.bench.cupy_rival.CupyRival.__init__",
        "self.mode.enter_context(plain(not kernels))",
        "self.mode.enter_context(plain(False))",
        GPU_BENCH,
    ),
    Mutant(
        "sgd's arrays are counted once",
        "lab.bench.kernel_cases.pixelwise.sgd",
        "2 * read_and_written + grad.nbytes",
        "read_and_written + grad.nbytes",
        "lab/bench/test_kernel_cases.py",
    ),
    Mutant(
        "CuPy's side of a pool passes the gradient to everybody",
        "lab.bench.kernel_cases.pooling.max_pool_backward",
        "tap[...] = dy * (winner == place)",
        "tap[...] = dy * (winner >= place)",
        "lab/bench/test_kernel_cases.py",
    ),
    Mutant(
        "the slowest peer is named",
        "lab.bench.report.fastest",
        "best = min(peers",
        "best = max(peers",
        "lab/bench/test_peers.py",
    ),
    Mutant(
        "the slowest peer goes on",
        "lab.bench.scaling.chosen",
        "kept = {min(group",
        "kept = {max(group",
        "lab/bench/test_scaling.py",
    ),
    Mutant(
        "an exponent without logarithms",
        "lab.bench.scaling.power",
        "np.polyfit(np.log(x), np.log(y), 1)",
        "np.polyfit(x, y, 1)",
        "lab/bench/test_scaling.py",
    ),
]
