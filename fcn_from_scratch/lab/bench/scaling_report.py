"""Time and memory over size, batch and threads: as lines of text, as CSV and as JSON."""

import csv
import datetime
import io
import json

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import memory
from fcn_from_scratch.lab.bench.report import aligned, duration, machine
from fcn_from_scratch.lab.bench.rivals import RIVALS
from fcn_from_scratch.lab.bench.scaling import ScaleRow

# widths of the columns: the lines are printed while the next ones are measured
COLUMNS = (("size", 11), ("batch", 6), ("threads", 8), ("", 28), ("time", 9), ("middle half", 22), ("ratio", 8))
HEADINGS = (*COLUMNS, ("memory", 10))
LEFT = 4  # the first columns, which are aligned left

LEGEND = """\
Each rival has a new process at each point, so that its peak memory is that of this point. time: the median. ratio: its
time divided by ours. memory: the peak of the process, with Python, libraries and loading. power: the exponent of the
power of pixels or pictures that fits best (least squares of the logarithms); 1 is proportional. off: the largest factor
between a measurement and this power. each: what one more pixel or picture adds (a straight line by least squares)."""


def heading():
    """The first line of the table."""
    return _line([name for name, _ in HEADINGS])


def line(row):
    """One ScaleRow as a line."""
    height, width = row.size
    place = [f"{height}x{width}", str(row.batch), str(row.threads), RIVALS[row.rival].title]
    if row.seconds is None:
        return f"{_line(place)}  {row.why}"
    taken = "-" if row.peak_bytes is None else memory(row.peak_bytes)
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    return _line([*place, duration(row.seconds), f"{duration(row.low)} .. {duration(row.high)}", ratio, taken])


def _line(words):
    cells = zip(words, (width for _, width in HEADINGS))
    return "".join(f"{word:{'<' if at < LEFT else '>'}{width}}" for at, (word, width) in enumerate(cells)).rstrip()


def fitted(result):
    """The Fits as a table: a line for each rival, number of threads, and size or batch."""
    lines = {}
    for fit in result.fits:
        words = lines.setdefault((fit.rival, fit.threads, fit.over), ["-"] * 6)
        each = duration(fit.each) if fit.what == "seconds" else memory(fit.each)
        if fit.over == "pixels":
            each = f"{1e9 * fit.each:.0f} ns" if fit.what == "seconds" else f"{fit.each / 1024:.2f} KiB"
        at = 0 if fit.what == "seconds" else 3
        words[at : at + 3] = f"{fit.exponent:.2f}", f"{fit.off:.2f}", each
    headings = ("", "threads", "over", "time: power", "off", "each", "memory: power", "off", "each")
    rows = [(RIVALS[rival].title, str(threads), over, *words) for (rival, threads, over), words in lines.items()]
    return aligned(headings, rows, left=3)


def write_csv(path, work, rows):
    """A line for each ScaleRow, which starts with the name of the work; cells without a measurement are empty."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("work", "height", "width", *ScaleRow._fields[1:]))
    writer.writerows((work, *row.size, *row[1:]) for row in rows)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def write_json(path, result, about):
    """Write {"about": settings and machine, "rows": [...], "fits": [...], "peers": [...], "absent": {...}}."""
    value = {
        "about": {**about, "machine": machine(), "date": datetime.date.today().isoformat()},
        "work": result.plan.work.facts(),
        "rows": [row._asdict() for row in result.rows],
        "fits": [fit._asdict() for fit in result.fits],
        "peers": result.peers,
        "absent": result.absent,
    }
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))
