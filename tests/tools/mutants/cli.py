"""Mistakes in the commands."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "a resumed run forgets what its weights expect",
        "cli.train_setup.build_trainer",
        "model.told = weights.recorded(datasets.Preprocess.from_dict(saved), model, dataset)",
        "pass",
        "cli/test_weights.py",
    ),
    Mutant(
        "a recipe's biases follow the usual rule",
        "cli.train_setup._optimizer",
        "args.momentum, args.weight_decay, multipliers)",
        "args.momentum, args.weight_decay)",
        "cli/test_recipes.py",
    ),
    Mutant(
        "every picture once an epoch, whatever the recipe",
        "cli.train_setup._batches",
        "args.sampling,",
        '"epoch",',
        "cli/test_recipes.py",
    ),
    Mutant(
        "a recipe trains on crops",
        "cli.train._settle",
        "recipe.whole and args.crop is None",
        "False",
        "cli/test_recipes.py",
    ),
    Mutant(
        "a resumed run drops options",
        "cli.train_resume.resumed",
        "_require_equal(name, value, saved.get(name), path)",
        "pass",
        "cli/test_train_resume.py",
    ),
    Mutant(
        "a resumed run goes only as far as before",
        "cli.train_resume.FREE",
        '"root", "sbd", "steps", "val_every"',
        '"root", "sbd", "val_every"',
        "cli/test_train_resume.py",
    ),
    Mutant(
        "the sample in place of PASCAL VOC, unasked",
        "cli.common.require_root",
        'if name == "shapes" or root is not None:',
        'if name in ("shapes", "voc") or root is not None:',
        "cli/test_mistakes.py",
    ),
    Mutant(
        "a rate is doubted before it is refused",
        "cli.train._announce",
        'checks.not_negative(lr, "lr")',
        "pass",
        "cli/test_train_validation.py",
    ),
    Mutant(
        "an overlay darkens the background",
        "cli.segment.write_results",
        "background=black",
        "background=None",
        "cli/test_segment.py",
    ),
    Mutant(
        "a legend of all classes",
        "cli.segment_figure.occurring",
        "for n in order if counts[n]]",
        "for n in order]",
        "cli/test_segment.py",
    ),
    Mutant(
        "a line of progress for every step",
        "progress.Lines.update",
        ">= max(EVERY, min(SELDOM, (now - self.start) / 20))",
        ">= 0",
        "test_progress.py",
    ),
    Mutant(
        "the time left counts the steps before a resume",
        "progress.Lines._tell",
        "passed / (self.n - self.initial)",
        "passed / self.n",
        "test_progress.py",
    ),
]
