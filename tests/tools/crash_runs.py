"""Stop `fcn train` again and again at drawn moments, let it go on, and compare its end with that of a run left alone.

    python tests/tools/crash_runs.py --kills 25 --width 2 --seed 0            kill -9
    python tests/tools/crash_runs.py --kills 12 --signals TERM INT HUP        signals, with their exit status
    python tests/tools/crash_runs.py --kills 25 --width 24 --while-writing    only while a checkpoint is being written

Prints one line of counts. The exit status is 1 if any array, the log or best.npz differs, if a checkpoint was damaged,
or if a signal's exit status or message is wrong.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.training import checkpoint

PATIENCE = 600  # seconds; a busy machine is slow


class Counts(NamedTuple):
    """What happened to a run that was stopped again and again."""

    stops: int  # processes that were stopped after they had begun to train
    writing: int  # of these, how many left a half-written file
    problems: tuple


def command(folder, width, steps, resume):
    words = f"train --width {width} --size 32x32 --count 6 --batch-size 2 --dropout 0.3 --seed 2 --steps {steps}"
    words += f" --schedule fixed --lr 0.01 --val-every 3 --save-seconds 0 --out {folder}"
    if resume:
        words = f"train --resume --save-seconds 0 --out {folder}"
    return [sys.executable, "-m", "fcn_from_scratch", *words.split()]


def start(folder, width, steps):
    resume = (folder / "checkpoint.npz").exists() or (folder / "previous.npz").exists()
    return subprocess.Popen(
        command(folder, width, steps, resume), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def stop_again_and_again(folder, width, steps, kills, numbers, rng, while_writing=False):
    """Run to the end, with up to `kills` stops by the signals `numbers` in turn. Returns: Counts."""
    stops, writing, problems = 0, 0, []
    while True:
        process = start(folder, width, steps)
        number = numbers[stops % len(numbers)]
        if stops < kills and wait_for_moment(process, folder, rng, while_writing):
            process.send_signal(number)
        _, told = process.communicate(timeout=PATIENCE)
        if process.returncode == 0:
            return Counts(stops, writing, tuple(problems))
        stops += 1
        writing += any(folder.glob(".*.part"))
        problems += wrong_end(process.returncode, number, told)
        problems += damaged(folder)
        if stops > kills or len(problems) > 5:
            return Counts(stops, writing, (*problems, "it does not come to its end"))


def wait_for_moment(process, folder, rng, while_writing):
    """Wait until the process has begun to train, then for a drawn moment. Returns: whether it still runs."""
    path, limit = folder / "checkpoint.npz", time.monotonic() + PATIENCE
    before = path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None and time.monotonic() < limit:
        if while_writing and any(folder.glob(".checkpoint.npz.*.part")) and rng.random() < 0.2:
            return True
        if not while_writing and path.exists() and path.stat().st_mtime_ns != before:
            time.sleep(rng.uniform(0, 0.3))
            return process.poll() is None
        time.sleep(0.0005 if while_writing else 0.002)
    return process.poll() is None


def wrong_end(status, number, told):
    """What is wrong with the end of a process that a signal stopped, as a list."""
    if number == signal.SIGKILL:
        return [] if status == -number else [f"status {status} after kill -9: {told[-300:]}"]
    lines = [line for line in told.splitlines() if line.startswith("fcn: ")]
    fine = status == 128 + number and len(lines) == 1 and signal.Signals(number).name in lines[0]
    return [] if fine and "Traceback" not in told else [f"status {status} after signal {number}: {told[-300:]}"]


def damaged(folder):
    """The complaint about a checkpoint that a stopped process left, as a list."""
    if not (folder / "checkpoint.npz").exists():
        return []
    try:
        checkpoint.read(folder / "checkpoint.npz")
    except ValueError as error:
        return [str(error)]
    return []


def differences(folder, whole):
    """In what two finished runs differ, in words."""
    found = []
    for name in ("checkpoint.npz", "best.npz"):
        (arrays, meta), (expected, expected_meta) = (checkpoint.read(each / name) for each in (folder, whole))
        found += [
            f"{name}: {key}"
            for key in arrays.keys() | expected.keys()
            if not np.array_equal(arrays.get(key), expected.get(key))
        ]
        found += [f"{name}: meta"] if meta != expected_meta else []
    found += ["log.csv"] if rows(folder) != rows(whole) else []
    left = {path.name for path in folder.iterdir()} ^ {path.name for path in whole.iterdir()}
    return found + [f"only one has {name}" for name in sorted(left)]


def rows(folder):
    """The rows of the log without the seconds."""
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()
    return [[word for place, word in enumerate(line.split(",")) if place != 3] for line in lines]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25, help="stops, at most (default 25)")
    parser.add_argument("--width", type=int, default=2, help="channels of the network's first stage (default 2)")
    parser.add_argument("--steps", type=int, help="steps of the run (default: 4 for each stop)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (default 0)")
    parser.add_argument("--signals", nargs="+", default=["KILL"], help="KILL, TERM, INT, HUP: in turn (default KILL)")
    parser.add_argument("--while-writing", action="store_true", help="stop only while a checkpoint is being written")
    args = parser.parse_args(argv)
    steps = args.steps or 4 * args.kills
    numbers = [getattr(signal, f"SIG{name}") for name in args.signals]
    os.environ.setdefault("FCN_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        cut, whole = Path(place, "cut"), Path(place, "whole")
        counts = stop_again_and_again(
            cut, args.width, steps, args.kills, numbers, random.Random(args.seed), args.while_writing
        )
        subprocess.run(
            command(whole, args.width, steps, False), check=True, timeout=10 * PATIENCE, stdout=subprocess.DEVNULL
        )
        problems = [*counts.problems, *differences(cut, whole)]
    kind = "/".join(args.signals)
    print(
        f"{counts.stops} stops by {kind}, width {args.width}, {counts.writing} of them while a file was written: ",
        end="",
    )
    print("the end is the same, bit for bit" if not problems else f"{len(problems)} problems: {problems[:5]}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
