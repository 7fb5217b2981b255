"""How long calls take: by the system's clock on the CPU, by events on a GPU.

On a GPU a call returns when its work is queued, long before the work is done. An event is a mark in the queue. The
device notes the time when it reaches the mark. The time between two marks contains all work between them, and also the
device's waiting for the host.

A kernel of ten microseconds is done before the host has queued the next one. The measured time would be the host's. So
calls can be queued `ahead`: first come copies that keep the device busy. They must last until the host has queued the
last call. The clock asks the device whether it had passed the first mark by then. If so, it times the calls again
behind more copies.
"""

import time

BUNCH = 16  # calls that are queued ahead together: a device's queue holds about a thousand launches
BUSY_BYTES = 256 << 20  # size of one copy that keeps the device busy
MOST_COPIES = 256  # if these are too few, the calls themselves seem to wait for the device


def wall(call, calls, ahead=False):
    """Seconds that `calls` calls take, one after another, by the system's clock."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


class EventClock:
    """Seconds that the device takes for `calls` calls. With `ahead` the host's time is left out.

    Subclasses define event(), passed(event), milliseconds(start, end) and copy() with their library.
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
    """EventClock for CuPy's current stream."""

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
    """EventClock for PyTorch's current stream."""

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
