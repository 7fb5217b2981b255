"""Mistakes in fcn compare."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "shift-and-stitch moved by one pixel a pass",
        "lab.compare.predictors.Stitched.fine",
        'shifted(x, (a * s, b * s), "shift")',
        'shifted(x, (a, b), "shift")',
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "the tricks' scores put a cell off",
        "lab.compare.predictors.on_image",
        "moved.append(axis._replace(start=axis.start - before * axis.stride))",
        "moved.append(axis._replace(start=axis.start - before * axis.stride - axis.stride))",
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "the work of one pass only",
        "lab.compare.predictors.Stitched._work",
        "moved = range(0, self.coarse_stride, self.stride)",
        "moved = range(0, 1)",
        "lab/compare/test_predictors.py",
    ),
    Mutant(
        "a cached network taken whatever its key",
        "lab.compare.nets.Nets._cached",
        'if meta["extra"].get("key") != self.settings.key(stage):',
        'if "key" not in meta["extra"]:',
        "lab/compare/test_nets.py",
    ),
    Mutant(
        "a key that forgets what a stage starts from",
        "lab.compare.training_plan.Settings.key",
        '"start": None if stage.start is None else self.key(STAGES[stage.start]),',
        '"start": stage.start,',
        "lab/compare/test_training_plan.py",
    ),
    Mutant(
        "patches cut half a patch off",
        "lab.compare.labelled_patches.cut",
        "first = int(place) - size // 2",
        "first = int(place)",
        "lab/compare/test_labelled_patches.py",
    ),
    Mutant(
        "border IU away from the border",
        "lab.compare.measuring.Tally.add",
        "np.where(band, labels, self.ignore_index)",
        "np.where(band, self.ignore_index, labels)",
        "lab/compare/test_measuring.py",
    ),
    Mutant(
        "peak memory of the last moment",
        "lab.compare.measuring._peak_of_one",
        "return tracemalloc.get_traced_memory()[1] - before",
        "return tracemalloc.get_traced_memory()[0] - before",
        "lab/compare/test_measuring.py",
    ),
]
