"""`python -m fcn_from_scratch` is the command `fcn`. This file runs before NumPy is loaded, so Ctrl-C works at once."""

import os
import signal
import sys

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # as in cli.signals, which takes over when the libraries are loaded


def main():
    """Run one command; returns the exit status. Signals are heard from here on, while the libraries are loaded too."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _stop)
    from fcn_from_scratch import cli

    return cli.main()


def _stop(number, _):
    """End the process at once. An exception would end in a traceback, or in an `except` of a library."""
    os.write(2, f"fcn: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
