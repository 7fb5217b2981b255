"""Times by events: they contain all calls and nothing else. Where the device waited for the host, they are repeated."""

from types import SimpleNamespace

import pytest
import standin

from fcn_from_scratch.lab.bench import clocks


class Device:
    """A simulated device: the host queues a call in `launch` seconds, and work takes the time that it names."""

    def __init__(self, launch):
        self.launch, self.host, self.busy_until = launch, 0.0, 0.0

    def work(self, seconds):
        self.host += self.launch
        self.busy_until = max(self.busy_until, self.host) + seconds

    def event(self):
        return Event(self)


class Event:
    def __init__(self, device):
        self.device, self.at, self.waited = device, None, False

    def record(self):
        self.at = max(self.device.busy_until, self.device.host)

    def synchronize(self):
        self.device.host, self.waited = max(self.device.host, self.at), True


class Clock(clocks.EventClock):
    """Its holds last `part` of the time that they should."""

    def __init__(self, device, part=1):
        super().__init__()
        self.device, self.part, self.event, self.holds = device, part, device.event, []

    def passed(self, event):
        return event.at <= self.device.host

    def milliseconds(self, start, end):
        assert end.waited
        return 1000 * (end.at - start.at)

    def hold(self, seconds):
        self.holds.append(seconds)
        self.device.work(self.part * seconds)


@pytest.fixture
def device(monkeypatch):
    """A device whose host has the time that the clock reads."""
    found = Device(launch=40e-6)
    monkeypatch.setattr(clocks, "time", SimpleNamespace(perf_counter=lambda: found.host))
    return found


def test_a_call_and_what_the_host_does_meanwhile(device):
    """Work of 10 microseconds that takes 40 microseconds to queue is timed as 40."""
    seconds = Clock(device)(lambda: device.work(10e-6), 100)
    assert seconds / 100 == pytest.approx(40e-6, rel=0.02)


@pytest.mark.parametrize("calls", [1, 16, 200])
def test_calls_queued_ahead_are_timed_without_the_host(device, calls):
    clock = Clock(device)
    assert clock(lambda: device.work(10e-6), calls, ahead=True) / calls == pytest.approx(10e-6)
    assert not clock.waits()


def test_a_slow_first_call_is_forgotten(device):
    """The host takes two seconds for the first call. The hold behind it is the longest; then holds are short again."""
    clock, slow = Clock(device), [2.0]

    def call():
        device.host += slow.pop() if slow else 0
        device.work(10e-6)

    assert clock(call, 1, ahead=True) == pytest.approx(10e-6)
    clock.holds.clear()
    assert clock(call, 16, ahead=True) / 16 == pytest.approx(10e-6)
    assert max(clock.holds) < 0.002
    assert len(clock.holds) == 1
    assert not clock.waits()


def test_work_that_waits_for_the_device_itself_is_given_up_on(device):
    clock = Clock(device, part=0)
    clock(lambda: device.work(10e-6), 2, ahead=True)
    assert len(clock.holds) == clocks.TRIES
    assert [clock.waits(), clock.waits()] == [True, False]


def test_cupys_events():
    made, clock = [], clocks.CupyClock(standin)
    assert 0 < clock(lambda: made.append(1), 5) < 1
    assert 0 < clock(lambda: made.append(1), 20, ahead=True) < 1
    assert len(made) == 5 + 3 * 20  # a hold of the stand-in does not wait
    assert clock.waits()
    start, end = standin.cuda.Event(), standin.cuda.Event()
    start.record()
    with pytest.raises(RuntimeError, match="InvalidResourceHandle"):
        standin.cuda.get_elapsed_time(start, end)
    end.record()
    with pytest.raises(RuntimeError, match="NotReady"):
        standin.cuda.get_elapsed_time(start, end)


def test_pytorchs_events():
    device, options = Device(launch=40e-6), []

    class TorchEvent(Event):
        def __init__(self, **given):
            options.append(given)
            super().__init__(device)

        def query(self):
            return self.at <= device.host

        def elapsed_time(self, end):
            assert end.waited
            return 1000 * (end.at - self.at)

    cycles = []
    fake = SimpleNamespace(cuda=SimpleNamespace(Event=TorchEvent, _sleep=cycles.append))
    clock = clocks.TorchClock(fake)
    assert clock(lambda: device.work(1.0), 3, ahead=True) == pytest.approx(3, rel=1e-3)
    assert options == [{"enable_timing": True}] * 2 * clocks.TRIES
    assert cycles[0] == clocks.HOLD[0] * clocks.CYCLES
