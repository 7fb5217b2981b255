"""Checkpoints that lie: entries of their meta are replaced by values of other types and sizes, and commands read them.

    python tests/tools/hostile_checkpoints.py --cases 200 --seed 0

Each case changes one or two entries, at any depth, and runs `evaluate`, `segment`, `train --resume` or `weights verify`
on it in this process. Right is an exit status with one sentence, or a result; wrong is any other exception, more than a
few hundred characters of message, too much memory, or too much time. The cases of COSTLY come first: their entries have
the right types, and would cost hours or gigabytes. The exit status is 1 if a case was wrong.
"""

import argparse
import copy
import io
import json
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image

from fcn_from_scratch.cli import main as fcn

MOST_BYTES = 300 << 20
MOST_SECONDS = 20  # of CPU time: counting the memory makes everything several times slower
STOPPED = (129, 130, 143)  # the exit status of a command that SIGHUP, SIGINT or SIGTERM ended
VALUES = (
    *(None, True, False, 0, -1, 1, 3, 2.5, -0.5, 1e308, float("nan"), float("inf"), 3_000_000, 2**31, 2**63, 10**40),
    *("", "abc", "x" * 5000, "\x1b[31mred\a", "../../etc/passwd", "\0", "\ud800", "mini_fcn8s", "voc", "fixed"),
    *([], [1], [1, 2], [-1, 5], [[1, 2], [3]], [[300, 0, 0]] * 6, ["a"] * 6, [None] * 6, [10**30] * 2, [1] * 3000),
    *({}, {"a": 1}, {"mean": [1, 2], "order": "GRB"}, {"step": "2", "mean_iu": None}, {"lr": "x", "batch_size": -1}),
)


LONG = "x" * 4000
COSTLY = (  # changes of extra.arguments, and of other entries by their paths
    {"size": [8192, 8192], "count": 10**7},
    {"size": [2048, 2048], "count": 10**7},
    {"size": [8192, 16], "count": 4},
    {"size": [1, 8192]},
    {"count": 10**7},
    {"iter_size": 10**6},
    {"iter_size": 10**6, "batch_size": 10**6},
    {"batch_size": 10**6, "count": 10**7},
    {"crop": [8192, 8192]},
    {"steps": 2**53, "val_every": 2**53},
    {"balance": 1e308},
    {"seed": 2**53},
    {"width": 10**6},
    {"options.num_classes": 10**6},
    {"options.width": 10**6},
    {"options.dropout": [1], "options.upsampling": 7},
    {"options": {}},
    {"extra.classes": ["$\\frac{$", "$\\nosuch$", "\\", "%s", "{0}", "_"]},
    {"extra.classes": [LONG] * 6},
    {"extra.classes": ["\u80cc\u666f"] * 6},
)


def changed(meta, changes):
    """A copy of meta with entries replaced: those of extra.arguments, or those at a path with dots."""
    new = copy.deepcopy(meta)
    for name, value in changes.items():
        *path, last = name.split(".") if name.startswith(("options", "extra")) else ("extra", "arguments", name)
        owner = new
        for key in path:
            owner = owner[key]
        owner[last] = value
    return new, f"{changes!r:.100}"


def places(value, path=()):
    """The paths of all entries of nested dicts and lists."""
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for key in value for place in places(value[key], (*path, key))]
    if isinstance(value, list) and len(value) < 10:
        return found + [place for key in range(len(value)) for place in places(value[key], (*path, key))]
    return found


def mutated(meta, rng):
    """A copy of meta with one or two entries replaced, deleted or added. Returns: (meta, what was done)."""
    new, done = copy.deepcopy(meta), []
    for _ in range(rng.choice((1, 1, 2))):
        path = rng.choice(places(new))
        owner = new
        for key in path[:-1]:
            owner = owner[key]
        value = rng.choice(VALUES)
        if rng.random() < 0.1:
            del owner[path[-1]]
        else:
            owner[path[-1]] = copy.deepcopy(value)
        done.append(f"{'.'.join(map(str, path))} = {value!r:.40}")
        if not places(new):
            break
    return new, "; ".join(done)


def run(words):
    """(status, message) of one command; the status is None and the message the exception if it ends in a traceback."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = fcn([str(word) for word in words])
    except SystemExit as end:
        status = end.code
    except BaseException as error:  # that is what is looked for
        return None, f"{type(error).__name__}: {error}"
    if status in STOPPED:  # a signal is for this program, not for the command
        sys.exit(status)
    return status, err.getvalue()


def commands(folder, photo):
    path = folder / "checkpoint.npz"
    return {
        "evaluate": ["evaluate", "--weights", path],
        "segment": ["segment", photo, "--weights", path, "--out", folder / "out"],
        "resume": ["train", "--resume", "--steps", 3, "--out", folder],
        "verify": ["weights", "verify", path],
        "inspect": ["weights", "inspect", path],
    }


def complaint(words):
    """What is wrong with how a command takes a file; None if nothing is."""
    tracemalloc.start()
    start = time.process_time()
    status, message = run(words)
    seconds = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines = [line for line in message.splitlines() if line.startswith("fcn: ") and "warning" not in line]
    if status is None:
        return message[:300]
    if status != 0 and len(lines) != 1:
        return f"status {status} with {len(lines)} sentences: {message[:300]}"
    if len(message) > 2000 or "\x1b" in message or "Traceback" in message:
        return f"a message of {len(message)} characters: {message[:200]!r}"
    if seconds > MOST_SECONDS:
        return f"{seconds:.0f} s"
    return f"{peak >> 20} MB" if peak > MOST_BYTES else None


def try_all(cases, seed, place, names=("evaluate", "segment", "resume", "verify"), costly=True):
    """Returns: a list of problems in words."""
    rng, good, photo = random.Random(seed), place / "good", place / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)).save(photo)
    tiny = ["--width", 2, "--size", "16x16", "--count", 2, "--batch-size", 2, "--dropout", 0.3, "--steps", 2]
    status, message = run(["train", *tiny, "--out", good])
    if status != 0:
        raise RuntimeError(message)
    with np.load(good / "checkpoint.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != "digest"}
    meta, problems = json.loads(arrays["meta"].tobytes()), []

    def check(number, name, lying, done):
        folder = place / str(number)
        folder.mkdir()
        arrays["meta"] = np.frombuffer(json.dumps(lying).encode(), np.uint8)
        np.savez(folder / "checkpoint.npz", **arrays)
        if wrong := complaint(commands(folder, photo)[name]):
            problems.append(f"{name}, {done}: {wrong}")
        shutil.rmtree(folder)

    for changes in COSTLY if costly else ():
        for name in ("evaluate", "resume", "segment"):
            check("costly", name, *changed(meta, changes))
    for number in range(cases):
        check(number, names[number % len(names)], *mutated(meta, rng))
    return problems


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="number of files (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the changes (default 0)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        problems = try_all(args.cases, args.seed, Path(place))
    print(f"{args.cases} checkpoints that lie: {len(problems)} problems")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
