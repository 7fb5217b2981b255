"""How long calls take: by the wall for work on the CPU, by events on the device for work on a GPU.

On a GPU a call returns when its work is queued, long before it is done. An event is a mark in the queue; the device
notes the time when it gets there, and the time between two marks is that of all work between them, waiting for the
host included.

A kernel of ten microseconds is done before the host has queued the next one, and would be timed as the host. So calls
may be queued `ahead`: behind copies that keep the device busy, until the device passes the first mark only after the
host has queued the last call. Whether it did is asked, and if not, the calls are timed again behind more copies.
"""

import time

BUNCH = 16  # calls queued ahead at a time: a device's queue has room for about a thousand launches
BUSY_BYTES = 256 << 20  # of one copy that keeps the device busy
MOST_COPIES = 256  # then the calls are taken for ones that wait for the device themselves


def wall(call, calls, ahead=False):
    """Seconds that so many calls take, one after another."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


class EventClock:
    """Seconds that the device takes for so many calls; `ahead`, without the host's part of them.

    Subclasses say how their library makes an event, asks it, and copies.
    """

    def __init__(self):
        self.copies = 1

    def __call__(self, call, calls, ahead=False):
        if not ahead:
            return self._between(call, calls)[0]
        bunches = [min(BUNCH, calls - first) for first in range(0, calls, BUNCH)]
        return sum(self._ahead(call, bunch) for bunch in bunches)

    def _ahead(self, call, calls):
        while True:
            seconds, waited = self._between(call, calls, self.copies)
            if not waited or self.copies >= MOST_COPIES:
                return seconds
            self.copies *= 2

    def _between(self, call, calls, copies=0):
        """(seconds between an event before the calls and one after them, whether the device waited for the host)"""
        for _ in range(copies):
            self.copy()
        start, end = self.event(), self.event()
        start.record()
        for _ in range(calls):
            call()
        end.record()
        waited = self.passed(start)
        end.synchronize()
        return self.milliseconds(start, end) / 1000, waited


class CupyClock(EventClock):
    """On CuPy's current stream."""

    def __init__(self, cupy):
        super().__init__()
        self.cupy, self.busy = cupy, None

    def event(self):
        return self.cupy.cuda.Event()

    def passed(self, event):
        return event.done

    def milliseconds(self, start, end):
        return self.cupy.cuda.get_elapsed_time(start, end)

    def copy(self):
        if self.busy is None:
            self.busy = self.cupy.zeros((2, BUSY_BYTES), "uint8")
        self.cupy.copyto(*self.busy)


class TorchClock(EventClock):
    """On PyTorch's current stream."""

    def __init__(self, torch, device="cuda"):
        super().__init__()
        self.torch, self.device, self.busy = torch, device, None

    def event(self):
        return self.torch.cuda.Event(enable_timing=True)

    def passed(self, event):
        return event.query()

    def milliseconds(self, start, end):
        return start.elapsed_time(end)

    def copy(self):
        if self.busy is None:
            self.busy = self.torch.zeros((2, BUSY_BYTES), dtype=self.torch.uint8, device=self.device)
        self.busy[0].copy_(self.busy[1])
