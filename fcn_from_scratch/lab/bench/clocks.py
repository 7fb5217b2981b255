"""How long calls take: by the system's clock on the CPU, by events on a GPU.

On a GPU a call returns when its work is queued, long before the work is done. An event is a mark in the queue. The
device notes the time when it reaches the mark. The time between two marks contains all work between them, and also the
device's waiting for the host.

A kernel of ten microseconds is done before the host has queued the next one. The measured time would be the host's. So
calls can be queued `ahead`: first comes a hold, work that keeps the device busy for a given time. It must last until
the host has queued the last call. The clock asks the device whether it had passed the first mark by then. If so, it
times the calls again behind a longer hold. How long the host takes is measured each time anew: a first call takes it
seconds, and what follows must not wait for them.
"""

import time

import numpy as np

BUNCH = 64  # calls that are queued ahead together: a device's queue holds about a thousand launches
HOLD = 0.0005, 0.05  # seconds of the first hold, and of the longest
TRIES = 3  # behind longer and longer holds; after the last one the time contains the host's

# A kernel that waits. CUDA's compiler defines the name; the emulator, which has no timer, does not wait.
HOLD_KERNEL = r"""
extern "C" __global__ void hold(long long nanoseconds)
{
#ifdef __CUDACC__
    long long start, now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
    do
        asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    while (now - start < nanoseconds);
#else
    (void)nanoseconds;
#endif
}
"""
CYCLES = 2.5e9  # a GPU's cycles in a second, at most: PyTorch counts in cycles


def wall(call, calls, ahead=False):
    """Seconds that `calls` calls take, one after another, by the system's clock."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


class EventClock:
    """Seconds that the device takes for `calls` calls. With `ahead` the host's time is left out.

    waited  whether a time with `ahead` contains the host's nevertheless, since the last `waits`
    Subclasses define event(), passed(event), milliseconds(start, end) and hold(seconds) with their library.
    """

    def __init__(self):
        self.host, self.waited = 0.0, False

    def __call__(self, call, calls, ahead=False):
        if not ahead:
            return self._between(call, calls)[0]
        bunches = [min(BUNCH, calls - first) for first in range(0, calls, BUNCH)]
        return sum(self._ahead(call, bunch) for bunch in bunches)

    def waits(self):
        """Whether a time contains the host's, since this was asked before."""
        found, self.waited = self.waited, False
        return found

    def _ahead(self, call, calls):
        shortest, longest = HOLD
        for _ in range(TRIES):
            hold = min(longest, max(shortest, 2 * calls * self.host))
            seconds, waited = self._between(call, calls, hold)
            if not waited:
                return seconds
        self.waited = True
        return seconds

    def _between(self, call, calls, hold=0.0):
        """(seconds between an event before the calls and one after them, whether the device waited for the host)"""
        if hold:
            self.hold(hold)
        start, end = self.event(), self.event()
        began = time.perf_counter()
        start.record()
        for _ in range(calls):
            call()
        end.record()
        waited = self.passed(start)
        self.host = (time.perf_counter() - began) / calls  # of a call; it falls again after a slow one
        end.synchronize()
        return self.milliseconds(start, end) / 1000, waited


class CupyClock(EventClock):
    """EventClock for CuPy's current stream."""

    def __init__(self, cupy):
        super().__init__()
        self.cupy, self.kernel = cupy, None

    def event(self):
        return self.cupy.cuda.Event()

    def passed(self, event):
        return event.done

    def milliseconds(self, start, end):
        return self.cupy.cuda.get_elapsed_time(start, end)

    def hold(self, seconds):
        if self.kernel is None:
            self.kernel = self.cupy.RawModule(code=HOLD_KERNEL).get_function("hold")
        self.kernel((1,), (1,), (np.int64(seconds * 1e9),))


class TorchClock(EventClock):
    """EventClock for PyTorch's current stream."""

    def __init__(self, torch):
        super().__init__()
        self.torch = torch

    def event(self):
        return self.torch.cuda.Event(enable_timing=True)

    def passed(self, event):
        return event.query()

    def milliseconds(self, start, end):
        return start.elapsed_time(end)

    def hold(self, seconds):
        self.torch.cuda._sleep(int(seconds * CYCLES))
