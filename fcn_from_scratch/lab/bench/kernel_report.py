"""The results of the kernels as a table."""

from fcn_from_scratch.lab.bench.kernel_cases import CASES
from fcn_from_scratch.lab.bench.report import aligned, hosts, in_columns, limits, reached

HEADINGS = "kernel", "array", "in CuPy", "MB", "ms", "GB/s", "GFLOP/s", "of ceiling", "ms CuPy", "ratio"
WIDTHS = max(map(len, CASES)), 26, 32, *(max(len(words), 8) for words in HEADINGS[3:])


def text(result):
    """One line for each kernel: its bytes, its speed, the ceiling that limits it, and CuPy's time over its own."""
    lines = [_cells(result, name) for name in result.facts]
    return "\n".join(
        [title(result), limits(result.ceilings), "", aligned(HEADINGS, lines, left=3), *hosts(result.rows)]
    )


def title(result):
    return f"each kernel alone, on arrays of {result.work.title}"


def heading():
    """The line above `line`s."""
    return in_columns(HEADINGS, WIDTHS, left=3)


def line(result, name):
    """A line for one kernel, in columns that do not depend on the others: for printing as it comes."""
    return in_columns(_cells(result, name), WIDTHS, left=3)


def _cells(result, name):
    ours, theirs = (row for row in result.rows if row.part == name)
    return (
        name,
        *result.facts[name],
        f"{ours.gbytes * ours.seconds * 1e3:.1f}",
        f"{1000 * ours.seconds:.3f}{'h' * ours.with_host}",
        f"{ours.gbytes:.0f}",
        f"{ours.gflops:.0f}" if ours.gflops else "-",
        reached(ours, result.ceilings),
        f"{1000 * theirs.seconds:.3f}{'h' * theirs.with_host}",
        f"{theirs.ratio:.2f}",
    )
