"""What a command does when a signal ends it: SIGINT (Ctrl-C), SIGTERM (kill, a queue's time limit), SIGHUP (hang-up).

Everywhere, the command stops at once and removes what is half written. `fcn train` computes its step to the end first,
and saves: see `patient`. A second signal stops it at once, too.
"""

import signal
import threading
from contextlib import contextmanager

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows knows no SIGHUP
NUMBERS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class StoppedError(BaseException):
    """A signal ends the command. `number` is the signal's; the exit status is 128 + number."""

    def __init__(self, number):
        super().__init__(int(number))
        self.number = int(number)

    def __str__(self):
        return f"stopped by {signal.Signals(self.number).name}"


class _State:
    patient, pending = False, None


_state = _State()


@contextmanager
def handled():
    """Inside, a signal raises StoppedError. A signal that the process ignores, as with nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.patient, _state.pending = False, None
    before = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def patient():
    """Inside, the first signal only waits in `pending`: whoever computes asks for it where it can stop."""
    _state.patient, _state.pending = True, None
    try:
        yield
    finally:
        _state.patient = False


def pending():
    """The StoppedError of a signal that waits, or None."""
    return None if _state.pending is None else StoppedError(_state.pending)


def _handle(number, _):
    if _state.patient and _state.pending is None:
        _state.pending = number
        return
    raise StoppedError(number)
