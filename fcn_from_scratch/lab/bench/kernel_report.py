"""The results of the kernels as a table."""

from fcn_from_scratch.lab.bench.report import aligned, limits, reached

HEADINGS = "kernel", "array", "in CuPy", "MB", "ms", "GB/s", "GFLOP/s", "of ceiling", "ms CuPy", "ratio"


def text(result):
    """One line for each kernel: its bytes, its speed, the ceiling that limits it, and CuPy's time over its own."""
    at = {(row.part, row.rival): row for row in result.rows}
    lines = [
        (name, *facts, *_numbers(at[name, "cuda"], at[name, "cupy"], result.ceilings))
        for name, facts in result.facts.items()
    ]
    title = f"each kernel alone, on arrays of {result.work.title}"
    return "\n".join([title, limits(result.ceilings), "", aligned(HEADINGS, lines, left=3)])


def _numbers(ours, theirs, ceilings):
    return (
        f"{ours.gbytes * ours.seconds * 1e3:.1f}",
        f"{1000 * ours.seconds:.3f}",
        f"{ours.gbytes:.0f}",
        f"{ours.gflops:.0f}" if ours.gflops else "-",
        reached(ours, ceilings),
        f"{1000 * theirs.seconds:.3f}",
        f"{theirs.ratio:.2f}",
    )
