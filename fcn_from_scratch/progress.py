"""The progress of long loops: a bar on a terminal, a plain line from time to time in a log or a pipe."""

import sys
from time import monotonic

from tqdm import tqdm

EVERY = 10.0  # seconds between two lines, at least; lines of a loop that ends earlier would only be noise
SELDOM = 60.0  # seconds between two lines of a loop that takes long


def bar(iterable=None, **options):
    """A tqdm bar on stderr. Where stderr is no terminal, a Lines with the same methods.

    options   tqdm's options; disable=True silences both
    """
    if options.get("disable") or (sys.stderr is not None and sys.stderr.isatty()):
        return tqdm(iterable, **{"disable": False, "dynamic_ncols": True, **options})
    return Lines(iterable, **options)


class Lines:
    """Progress as plain lines on stderr: "step 120 of 600, loss 1.234, 45 s, about 3 min left".

    The first line comes after EVERY seconds. The pause between lines grows with the time of the loop, to SELDOM at
    most. A loop that has printed a line also prints one when it is through.

    iterable, total, initial, unit, desc   as tqdm's; other options of tqdm have no meaning here
    """

    def __init__(self, iterable=None, total=None, initial=0, unit="step", desc=None, **_):
        self.iterable = iterable
        self.total = len(iterable) if total is None and hasattr(iterable, "__len__") else total
        self.n = self.initial = initial
        self.what = f"{desc}: {unit}" if desc else unit
        self.postfix = ""
        self.start = self.told_at = monotonic()
        self.told = None  # the number in the last line

    def __iter__(self):
        for thing in self.iterable:
            yield thing
            self.update()
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()

    def set_postfix_str(self, text="", refresh=True):
        """The text in the middle of the lines. A change prints nothing."""
        self.postfix = text

    def update(self, number=1):
        """Count, and print a line if it is time."""
        self.n += number
        now = monotonic()
        if now - self.told_at >= max(EVERY, min(SELDOM, (now - self.start) / 20)):
            self._tell(now)

    def close(self):
        """Print the last line, if there were lines before it."""
        if self.told not in (None, self.n):
            self._tell(monotonic())

    def _tell(self, now):
        self.told, self.told_at = self.n, now
        passed = now - self.start
        parts = [f"{self.what} {self.n}", f"{in_words(passed)}"]
        if self.total is not None:
            parts[0] += f" of {self.total}"
            if self.initial < self.n < self.total:
                left = passed / (self.n - self.initial) * (self.total - self.n)
                parts.append(f"about {in_words(left)} left")
        if self.postfix:
            parts.insert(1, self.postfix)
        if sys.stderr is not None:
            print(", ".join(parts), file=sys.stderr, flush=True)


def in_words(seconds):
    """A time, about: "45 s", "3 min", "2 h 10 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
