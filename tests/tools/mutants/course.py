"""Mistakes in the runner of the course, the exercises, and the drawing of FCN-8s."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "a stub keeps the solution",
        "lab.exercises.files.Exercise.stub",
        "if not inside:",
        "if inside or line.strip() != BEGIN:",
        "lab/exercises/test_files.py",
    ),
    Mutant(
        "the check hands out its own arguments",
        "lab.exercises.checking._call",
        "return function(*copy.deepcopy(args))",
        "return function(*args)",
        "lab/exercises/test_checking.py",
    ),
    Mutant(
        "the hint of the first case only",
        "lab.exercises.checking._hint",
        "hint = next(iter(possible), hint)",
        "hint = hint or next(iter(possible), None)",
        "lab/exercises/test_checking.py",
    ),
    Mutant(
        "True counts as 1",
        "lab.exercises.values._same_word",
        "return isinstance(got, kinds) and bool(got == want)",
        "return bool(got == want)",
        "lab/exercises/test_values.py",
    ),
    Mutant(
        "a wrong shape is broadcast",
        "lab.exercises.values._array_difference",
        "if array.shape != want.shape:",
        "if array.ndim != want.ndim:",
        "lab/exercises/test_values.py",
    ),
    Mutant(
        "a stub is written over an answer",
        "cli.exercise._write",
        "if path.exists() or path.is_symlink():",
        "if path.is_symlink():",
        "cli/test_exercise.py",
    ),
    Mutant(
        "one wrong answer among several does not count",
        "cli.exercise._check",
        "return int(wrong > 0)",
        "return int(wrong == len(answered))",
        "cli/test_exercise.py",
    ),
    Mutant(
        "the needs of a lesson take the glossary along",
        "course._field",
        r"(?:\.\s|\.?$)",
        r"(?:\.?$)",
        "test_course.py",
    ),
    Mutant(
        "the receptive field is drawn without the padding",
        "diagram._padding_and_field",
        "(field[0] + padding, field[1])",
        "(field[0], field[1])",
        "test_diagram.py",
    ),
    Mutant(
        "the last crop is drawn at a skip's offset",
        "diagram._crop_windows",
        'crops["crop" if name == "upscore8" else name]',
        'crops["score_pool3" if name == "upscore8" else name]',
        "test_diagram.py",
    ),
    Mutant(
        "bare axes keep their border",
        "viz.bare",
        "ax.spines[:].set_visible(False)",
        "ax.spines[:].set_visible(True)",
        "test_viz.py",
    ),
    Mutant(
        "a frame half a pixel off",
        "viz.frame",
        "(left - 0.5, top - 0.5)",
        "(left, top)",
        "test_viz.py",
    ),
]
