"""`fcn lessons`: run the course or some of its lessons, and report which ones failed."""

from pathlib import Path

from fcn_from_scratch import course
from fcn_from_scratch.backend import DEVICES
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common

FAST = "fast"
HELP = "run the lessons, each in its own process; a lesson checks its claims while it runs"
EXAMPLE = """  fcn lessons                 all, in order
  fcn lessons list            list the lessons
  fcn lessons fast            the fast path: the paper's main ideas, up to FCN-8s
  fcn lessons 1 skips         lesson 1, then the one about skips
  fcn lessons --copy mine     copy the scripts into the folder mine, to read and to change them
  fcn lessons mine/lesson_01_metrics.py    run your copy of lesson 1

No file is ever overwritten."""


def add_arguments(parser):
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="number (1), name (metrics) or file of a lesson; the word fast for the fast path; or the word list. "
        "Default: all",
    )
    parser.add_argument(
        "--out",
        type=common.folder,
        metavar="DIR",
        help="folder for the figures (default: lessons/figures in a checkout, else figures)",
    )
    parser.add_argument("--copy", metavar="DIR", help="copy the scripts into this folder instead of running them")
    parser.add_argument(
        "--device",
        choices=DEVICES,
        help="device for lessons that train (they read it from FCN_DEVICE). Default: cpu",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed for lessons that train (they read it from FCN_SEED). Default: 0"
    )

    common.add_plain_argument(parser)


def run(args):
    """List or run lessons; returns 1 if a lesson failed. The other lessons run anyway."""
    if args.names == ["list"]:
        print(_list(course.lessons()))
        return 0
    chosen = [lesson for name in args.names for lesson in _named(name)] or course.lessons()
    if args.copy is not None:
        print(_copied(chosen, Path(args.copy)))
        return 0
    if args.out is not None and Path(args.out).exists() and not Path(args.out).is_dir():
        raise InputError(f"--out {args.out}: this is a file; pass a folder for the figures")
    outcomes = []
    for lesson in chosen:
        title = f"Lesson {lesson.number}: {lesson.question}"
        print(f"\n{title}\n{'=' * len(title)}")
        outcomes.append(course.run(lesson, figures=args.out, device=args.device, seed=args.seed, plain=args.plain))
        if outcomes[-1].status:
            print(f"lesson {lesson.number} failed (exit status {outcomes[-1].status})")
    print(f"\n{_summary(outcomes)}")
    return int(any(outcome.status for outcome in outcomes))


def _named(name):
    return course.fast_path() if name == FAST else [course.find(name)]


def _copied(lessons, folder):
    """Copy lessons into a folder. Returns: lines that say what became of each."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--copy {folder}: this is a file; pass a folder for the lessons")
    lines, edited = [], 0
    for lesson in lessons:
        path, fate = course.copy(lesson, folder)
        edited += fate == "edited"
        lines.append(f"kept   {path}: it differs from ours" if fate == "edited" else f"{fate:6} {path}")
    if edited:
        lines.append(f"files that differ from ours: {edited}. To get ours, copy into another folder or rename yours.")
    return "\n".join([*lines, f"Run one:  fcn lessons {path}"])


def _list(lessons):
    """One line for each lesson; a star marks those of the fast path."""
    width = max(len(lesson.name) for lesson in lessons)
    lines = []
    for lesson in lessons:
        star = "*" if lesson.number in course.FAST_PATH else " "
        lines.append(f"{lesson.number:>2} {star} {lesson.name:{width}}  {lesson.question}")
    return "\n".join([*lines, "", f"* the fast path: fcn lessons {FAST}"])


def _summary(outcomes):
    """One line for each lesson, then the total of several."""
    width = max(len(outcome.lesson.name) for outcome in outcomes)
    lines = [
        f"{outcome.lesson.number:>2}  {outcome.lesson.name:{width}}  {outcome.seconds:6.1f} s  "
        f"{'FAILED' if outcome.status else 'ok'}"
        for outcome in outcomes
    ]
    if len(outcomes) == 1:
        return lines[0]
    failed = sum(outcome.status != 0 for outcome in outcomes)
    verdict = f"{failed} of {len(outcomes)} failed" if failed else f"all {len(outcomes)} ok"
    total = sum(outcome.seconds for outcome in outcomes)
    return "\n".join([*lines, f"    {'':{width}}  {total:6.1f} s  {verdict}"])
