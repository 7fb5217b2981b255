"""Where a result comes from: the command, the version, the date, the training. It stands in the foot of the slide."""

import datetime
import os
import shlex
from pathlib import Path

from fcn_from_scratch import __version__

PLACES = ("out", "cache")  # options that change no result
PATHS = ("root", "weights", "image")  # only the last part of a path is shown


def today():
    """The date, YYYY-MM-DD. SOURCE_DATE_EPOCH, seconds since 1970, replaces the clock where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = (
        datetime.datetime.now()
        if not epoch.isdecimal()
        else datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
    )
    return now.date().isoformat()


def command(name, arguments, defaults):
    """The command line that gives these results: only the options that are not their defaults."""
    words = ["fcn", name]
    for option, value in arguments.items():
        if value == defaults.get(option) or option in PLACES or option not in defaults:
            continue
        words.append("--" + option.replace("_", "-"))
        if value is not True:
            words.append(_word(option, value))
    return shlex.join(words)


def _word(option, value):
    if option == "size":
        return "x".join(map(str, value))
    if isinstance(value, list):
        return ",".join(map(str, value))
    return Path(value).name if option in PATHS else str(value)


def about(name, arguments, defaults, steps, seeds, rates_from):
    """The facts, as a dict for JSON."""
    return {
        "command": command(name, arguments, defaults),
        "version": __version__,
        "date": today(),
        "steps": steps,
        "seeds": seeds,
        "rates_from": rates_from,
    }


def foot(facts):
    """The facts as two lines of text."""
    numbers = ", ".join(map(str, facts["seeds"]))
    return (
        f"{facts['command']}   (fcn_from_scratch {facts['version']}, {facts['date']})\n"
        f"{facts['steps']} steps for each network; {'seeds' if len(facts['seeds']) > 1 else 'seed'} {numbers}; "
        f"learning rates {facts['rates_from']}. "
        "Lines on bars: lowest and highest seed; for time and memory, quartiles"
    )
