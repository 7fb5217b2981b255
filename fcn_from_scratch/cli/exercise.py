"""`fcn exercise`: write the exercises of a lesson as files to fill in, check an answer, or show ours."""

from pathlib import Path

from fcn_from_scratch import course
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.lab import exercises

HELP = "write a lesson's exercises as files to fill in, check an answer, or show ours"
EXAMPLE = """  fcn exercise 8                                write exercise_8_1.py, exercise_8_2.py, exercise_8_3.py
  fcn exercise 8 1                              write the first of them
  fcn exercise 8 --check exercise_8_1.py        is the answer right? If not: where does it differ, and a hint
  fcn exercise 8 1 --solution                   print our answer

Existing files are never overwritten."""


def add_arguments(parser):
    parser.add_argument("lesson", metavar="N", help="number or name of the lesson")
    parser.add_argument("number", nargs="?", type=int, metavar="K", help="one exercise of the lesson. Default: all")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check", metavar="FILE", help="check the answer in FILE; exit status 0 if it is right, 1 if it is wrong"
    )
    action.add_argument("--solution", action="store_true", help="print our answer")
    parser.add_argument(
        "--time-limit",
        type=common.positive,
        default=exercises.TIME_LIMIT,
        metavar="SECONDS",
        help="end the check of an exercise after this time (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="seed of the cases that are checked. Default: 0"
    )


def run(args):
    """Write, check or print; returns 1 if an answer is wrong."""
    if args.seed < 0:
        raise InputError(f"--seed must be 0 or more; got {args.seed}")
    lesson = course.find(args.lesson)
    chosen = _chosen(exercises.of_lesson(lesson.number), args.number)
    if args.solution:
        print("\n\n".join(exercise.solution for exercise in chosen), end="")
        return 0
    if args.check is not None:
        return _check(chosen, args)
    return _write(chosen)


def _chosen(everything, number):
    if number is None:
        return everything
    chosen = [exercise for exercise in everything if exercise.number == number]
    if not chosen:
        known = ", ".join(str(exercise.number) for exercise in everything)
        raise InputError(f"lesson {everything[0].lesson} has no exercise {number}; it has: {known}")
    return chosen


def _write(chosen):
    """Write each stub whose file is not there yet."""
    for exercise in chosen:
        path = Path(exercise.file_name)
        if path.exists() or path.is_symlink():
            print(f"kept   {path}, which exists already")
        else:
            write_atomically(path, lambda file, text=exercise.stub: file.write(text.encode()))
            print(f"wrote  {path}: {exercise.title}")
    first = chosen[0]
    print(f"Write the function in a file. Then check it: fcn exercise {first.lesson} --check {first.file_name}")
    return 0


def _check(chosen, args):
    """Check each exercise that the file answers; with K only this one."""
    try:
        answered = chosen if args.number is not None else exercises.answered_by(args.check, chosen)
    except exercises.Wrong as problem:
        print(problem)
        return 1
    wrong = 0
    for exercise in answered:
        try:
            exercises.check_in_process(exercise, args.check, args.seed, args.time_limit)
        except exercises.Wrong as problem:
            wrong += 1
            print(f"exercise {exercise.name} is not right yet\n{problem}")
        else:
            print(f"exercise {exercise.name} is right")
    return int(wrong > 0)
