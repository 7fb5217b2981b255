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
    def __init__(self, device, copy_seconds):
        super().__init__()
        self.device, self.copy_seconds, self.event = device, copy_seconds, device.event

    def passed(self, event):
        return event.at <= self.device.host

    def milliseconds(self, start, end):
        assert end.waited
        return 1000 * (end.at - start.at)

    def copy(self):
        self.device.work(self.copy_seconds)


def test_a_call_and_what_the_host_does_meanwhile():
    """Work of 10 microseconds that takes 40 microseconds to queue is timed as 40."""
    device = Device(launch=40e-6)
    seconds = Clock(device, 0)(lambda: device.work(10e-6), 100)
    assert seconds / 100 == pytest.approx(40e-6, rel=0.02)


@pytest.mark.parametrize("calls", [1, 16, 100])
def test_calls_queued_ahead_are_timed_without_the_host(calls):
    """A copy takes 200 microseconds. Four copies cover the 16 launches of a bunch, one does not."""
    device = Device(launch=40e-6)
    clock = Clock(device, 200e-6)
    assert clock(lambda: device.work(10e-6), calls, ahead=True) / calls == pytest.approx(10e-6)
    assert clock.copies == (1 if calls == 1 else 4)


def test_work_that_waits_for_the_device_itself_is_given_up_on():
    device = Device(launch=40e-6)
    clock = Clock(device, 0)
    clock(lambda: device.work(10e-6), 2, ahead=True)
    assert clock.copies == clocks.MOST_COPIES


def test_cupys_events(monkeypatch):
    monkeypatch.setattr(clocks, "BUSY_BYTES", 8)
    monkeypatch.setattr(clocks, "MOST_COPIES", 4)
    made, clock = [], clocks.CupyClock(standin)
    assert 0 < clock(lambda: made.append(1), 5) < 1
    assert 0 < clock(lambda: made.append(1), 20, ahead=True) < 1
    assert len(made) == 5 + (3 * 16 + 4)  # the first bunch is timed three times: behind 1, 2 and 4 copies
    start, end = standin.cuda.Event(), standin.cuda.Event()
    start.record()
    with pytest.raises(RuntimeError, match="InvalidResourceHandle"):
        standin.cuda.get_elapsed_time(start, end)
    end.record()
    with pytest.raises(RuntimeError, match="NotReady"):
        standin.cuda.get_elapsed_time(start, end)


@pytest.mark.torch
def test_pytorchs_events(monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
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

    fake = SimpleNamespace(cuda=SimpleNamespace(Event=TorchEvent), zeros=torch.zeros, uint8=torch.uint8)
    monkeypatch.setattr(clocks, "BUSY_BYTES", 8)
    monkeypatch.setattr(clocks, "MOST_COPIES", 1)
    assert clocks.TorchClock(fake, "cpu")(lambda: device.work(1.0), 3, ahead=True) == pytest.approx(3, rel=1e-3)
    assert options == [{"enable_timing": True}] * 2
