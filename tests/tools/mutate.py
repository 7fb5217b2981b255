"""Does the suite notice? One mistake at a time is planted in a copy of the package, and the tests must fail.

python tests/tools/mutate.py                        all of tests/tools/mutants/
python tests/tools/mutate.py --list                 their names and places
python tests/tools/mutate.py --only groups          those whose name contains the word
python tests/tools/mutate.py --changed-since main   those whose file differs from that revision's
python tests/tools/mutate.py --shard 2/8            the second of eight equal shares
python tests/tools/mutate.py --jobs 2               two at once

The last line counts the mutants that were killed and names the others. The exit status is 0 when all were killed,
1 when one survived, broke the tests or does not fit the source, and 2 when the tests fail without any mutant.

The working tree is never touched: each mutant lives in a temporary folder of its own. The tests run without PyTorch
and without a GPU, and slow tests are left out: the suite has to notice without them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from mutants import MUTANTS
from planting import PACKAGE, Misfit, Package

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (PACKAGE, "tests", "data/sample", "lessons")
TIME_LIMIT = 600  # seconds for the tests of one mutant: a run that hangs is noticed too
KILLED, SURVIVED, BROKEN, MISFIT = "killed", "SURVIVED", "BROKEN", "NO FIT"


def copy_tree(folder):
    """Copy what the tests need to a new folder."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", folder)


def run_tests(folder, tests):
    """pytest's exit status over the copy in `folder` (1: a test failed), and the last lines of its output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
    command += ["-m", "not torch and not gpu and not slow", *(f"tests/{part}" for part in tests.split())]
    # the copy comes before an installed package; hypothesis draws the same examples every time
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return 1, "out of time"
    return done.returncode, done.stdout[-1500:] + done.stderr[-500:]


def try_mutant(mutant, package):
    """(verdict, seconds, remark); BROKEN means that the tests could not even run."""
    start = time.monotonic()
    try:
        planted = package.plant(mutant)
    except Misfit as error:
        return MISFIT, 0.0, str(error)
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_tree(Path(folder))
        Path(folder, PACKAGE, planted.file).write_text(planted.changed, encoding="utf-8")
        status, said = run_tests(Path(folder), mutant.tests)
    verdict = {0: SURVIVED, 1: KILLED}.get(status, BROKEN)
    return verdict, time.monotonic() - start, said if verdict == BROKEN else f"not noticed by tests/{mutant.tests}"


def unharmed(mutants, jobs):
    """Whether the same tests, each by itself, pass without a mutant. If not, a failure would mean nothing."""
    tests = sorted({mutant.tests for mutant in mutants})
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder, ThreadPoolExecutor(jobs) as pool:
        copy_tree(Path(folder))
        results = list(pool.map(lambda part: run_tests(Path(folder), part), tests))
    for part, (status, said) in zip(tests, results):
        if status:
            print(f"tests/{part} fails without any mutant:\n{said}", file=sys.stderr)
    return not any(status for status, _ in results)


def changed_since(revision):
    """The package's files that differ between a revision and the working tree, as paths below the package."""
    folder = ROOT / PACKAGE
    commands = (
        ["git", "diff", "--name-only", "--relative", "--end-of-options", revision, "--", "."],
        ["git", "ls-files", "--others", "--exclude-standard"],
    )
    files = set()
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"git cannot compare with {revision!r}: {done.stderr.strip()}")
        files.update(done.stdout.splitlines())
    return files


def in_files(mutants, package, files):
    """The mutants whose file is one of these, and those that do not fit: their code has changed too."""

    def concerned(mutant):
        try:
            return package.plant(mutant).file in files
        except Misfit:
            return True

    return [mutant for mutant in mutants if concerned(mutant)]


def shard(text):
    """The slice that "2/8" means: every eighth, from the second on."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; 1/8 to 8/8 are the eighths")
    return slice(int(match[1]) - 1, None, int(match[2]))


def summary(verdicts):
    """The last line, from a dict of mutant's name -> verdict."""
    killed = sum(verdict == KILLED for verdict in verdicts.values())
    words = [f"{killed} of {len(verdicts)} killed"]
    for verdict in (SURVIVED, BROKEN, MISFIT):
        names = [name for name, found in verdicts.items() if found == verdict]
        words += [f"{verdict}: {', '.join(names)}"] if names else []
    return "; ".join(words)


def run(mutants, package, jobs):
    """Try all of them and print a table; returns a dict of name -> verdict."""
    verdicts = {}
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(try_mutant, mutant, package): mutant for mutant in mutants}
        for future in as_completed(running):
            mutant, (verdict, seconds, remark) = running[future], future.result()
            print(f"{verdict:9} {seconds:6.1f} s  {mutant.place:52} {mutant.name}", flush=True)
            if verdict != KILLED:
                print(f"          {remark}", flush=True)
            verdicts[mutant.name] = verdict
    return verdicts


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the names and places, and stop")
    parser.add_argument("--only", metavar="WORD", default="", help="mutants whose name contains the word")
    parser.add_argument("--changed-since", metavar="REV", help="mutants whose file differs from this revision's")
    parser.add_argument("--shard", type=shard, default=slice(None), metavar="I/N", help="the I-th of N equal shares")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at once")
    return parser


def chosen(args, package):
    """The mutants that the options leave."""
    mutants = [mutant for mutant in MUTANTS if args.only in mutant.name]
    if args.changed_since:
        mutants = in_files(mutants, package, changed_since(args.changed_since))
    return mutants[args.shard]


def main(arguments=None):
    parser = options()
    args, package = parser.parse_args(arguments), Package(ROOT)
    try:
        mutants = chosen(args, package)
    except ValueError as error:
        parser.error(str(error))
    if args.list:
        for mutant in mutants:
            print(f"{mutant.place:52} {mutant.name}")
        return 0
    if not mutants:
        print("no mutant was chosen; --list shows all", file=sys.stderr)
        return 0 if args.changed_since else 2
    jobs = max(args.jobs, 1)
    if not unharmed(mutants, jobs):
        return 2
    verdicts = run(mutants, package, jobs)
    print(summary(verdicts))
    return 1 if set(verdicts.values()) != {KILLED} else 0


if __name__ == "__main__":
    sys.exit(main())
