"""Mistakes in the commands."""

from planting import Mutant

MUTANTS = [
    Mutant(
        "a resumed run forgets what its weights expect",
        "cli.train_setup.build_trainer",
        "datasets.Preprocess.from_dict(saved) if saved else",
        "",
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
]
