"""`fcn train`: train a network, write checkpoints, and score the network while it trains and at the end."""

from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

from fcn_from_scratch import backend, checks, viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, train_figure
from fcn_from_scratch.cli.evaluate import report
from fcn_from_scratch.cli.train_arguments import add_arguments, complete, given, option
from fcn_from_scratch.cli.train_resume import resumed, to_save
from fcn_from_scratch.cli.train_setup import build_trainer, dataset_name
from fcn_from_scratch.lab.mpi import parallel
from fcn_from_scratch.lab.mpi.group import join
from fcn_from_scratch.lab.tensorboard import Board
from fcn_from_scratch.training import checkpoint, evaluate_heads, recipes
from fcn_from_scratch.training.record import BEST, LOG, Record

__all__ = ["EXAMPLE", "HELP", "add_arguments", "run"]

HELP = "Train a network on drawn shapes, on a dataset or on your own pictures."
EXAMPLE = """  fcn train --model mini_fcn8s --steps 600 --out runs/shapes
  fcn train --model mini_fcn8s --dataset camvid --root data/CamVid --val-every 100 --out runs/camvid
  fcn train --model mini_fcn16s --weights runs/32s/checkpoint.npz --out runs/16s
  fcn train --recipe list
  fcn train --recipe fcn16s-heavy --weights runs/32s/checkpoint.npz --dataset voc --root data/VOC --out runs/voc16s
  fcn train --resume --out runs/camvid
  mpiexec -n 4 fcn train --batch-size 8 --out runs/shapes4     (four processes share each batch; needs mpi4py)"""


def run(args):
    typed, args = given(args), complete(args)
    if args.recipe == "list":
        print(recipes.table())
        return 0
    with backend.plain(args.plain), join() as group:
        _train(args, typed, group)
    return 0


def _train(args, typed, group):
    """The command. With a lab.mpi.group.Group this process is one of several that train together (lab.mpi.parallel).

    typed   the options of the command line, name -> value; the others of `args` are defaults
    """
    _choose(args)
    folder = Path(args.out or f"runs/{args.model}-{dataset_name(args)}")
    path = folder / common.CHECKPOINT
    go_on = args.resume and path.exists()
    if go_on:
        args = resumed(args, typed, path)
    elif path.exists():
        raise InputError(f"{folder} already holds a run: pass --resume to continue it, or another --out")
    else:
        _announce(args)
    _settle(args)
    common.check_device(args.device)
    if group and args.device == "cuda":
        backend.use_gpu(group.local)
    first = group is None or group.first
    board = Board(folder / "tensorboard") if args.tensorboard and first else None
    dataset = common.build_dataset(args, args.split)
    validation = common.build_dataset(args, args.val_split)
    trainer = build_trainer(args, dataset, go_on, group)
    common.output_folder(folder)
    record = _record(args, folder if first else None, trainer, dataset, validation, group, board)
    with closing(board) if board else nullcontext():
        record.start(_load(path, trainer, args) if go_on else None)
        _describe(args, trainer, dataset)
        if group:
            print(f"{group.size} processes share the pictures of each step")
        trainer.run(args.steps, save=record.save, save_seconds=args.save_seconds, watch=record)
        matrices = record.finish()
    if first:
        _finish(args, folder, record, validation, matrices)


def _choose(args):
    """Choose the network and the recipe. Each has a default that depends on the other."""
    if args.recipe is None:
        args.recipe = recipes.usual(args.model)
    if args.model is None:
        args.model = recipes.find(args.recipe).model or "mini_fcn8s"


# Settings that a recipe gives and the command line may change.
_SETTINGS = (
    *("model", "upsampling", "steps", "lr", "schedule", "momentum", "weight_decay", "reduction", "batch_size"),
    *("iter_size", "sampling"),
)


def _announce(args):
    """Print a recipe of the paper, its changed settings, and warnings about missing weights or an unusual rate."""
    recipe = recipes.find(args.recipe)
    lr, reduction = (getattr(recipe, n) if getattr(args, n) is None else getattr(args, n) for n in ("lr", "reduction"))
    try:
        checks.not_negative(lr, "lr")  # before a warning about its size
    except ValueError as error:
        raise InputError(str(error)) from None
    if recipe.start is not None:
        print("\n".join(_about(args, recipe)))
    doubt = recipes.doubt(lr, reduction)
    if doubt:
        print(f"warning: {doubt}")


def _about(args, recipe):
    """What is said about a recipe of the paper, line by line."""
    yield f"recipe {args.recipe} ({recipe.source}), made for {recipe.data}"
    typed = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    changed = [
        f"{option(name)} {value} for {getattr(recipe, name)}"
        for name, value in typed.items()
        if value != getattr(recipe, name)
    ]
    if changed:
        yield f"changed settings: {', '.join(changed)}"
    if args.weights is None:
        yield f"warning: it starts from {recipe.start}: pass --weights FILE; from random weights it will hardly learn"


def _settle(args):
    """Take missing settings from the recipe, so that the checkpoint records all of them."""
    recipe = recipes.find(args.recipe)
    for name in _SETTINGS:
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    args.no_augment = args.no_augment or (recipe.whole and args.crop is None)


def _record(args, folder, trainer, dataset, validation, group, board):
    """What the run writes down. Several processes share the scoring; folder and board are those of the first."""
    score = partial(parallel.evaluate_heads, group) if group else evaluate_heads
    progress = group is None or group.first
    return Record(
        trainer,
        folder,
        lambda: score(trainer.model, validation, args.device, progress),
        args.val_every,
        args.steps,
        _extra(args, dataset, trainer.model),
        board,
    )


def _extra(args, dataset, model):
    """What a checkpoint keeps beside the state: what is needed to build the run again."""
    return {
        "arguments": to_save(args),
        "dataset": dataset_name(args),
        "classes": list(dataset.classes),
        "palette": dataset.palette[: dataset.num_classes].tolist(),
        "transform": model.transform.as_dict(),
    }


def _load(path, trainer, args):
    """Load the checkpoint of a run that goes on; returns its `extra`."""
    extra = checkpoint.load(path, trainer)
    print(f"going on at step {trainer.steps} of {args.steps}")
    return extra


def _describe(args, trainer, dataset):
    number = sum(array.size for array in trainer.model.params.values())
    print(
        f"{args.model}: {number:,} parameters, {dataset.num_classes} classes; {len(dataset)} pictures of "
        f"{dataset_name(args)}; {args.steps} steps of {args.batch_size * args.iter_size}, learning rate {args.lr:g} "
        f"({args.schedule}, {args.reduction}), momentum {args.momentum:g}, decay {args.weight_decay:g}",
        flush=True,
    )


def _finish(args, folder, record, validation, matrices):
    """Draw the figures, print and write the scores, and say what was written."""
    title = f"{args.model} on {dataset_name(args)}"
    viz.save_figure(train_figure.draw(record.log.rows, record.best, title), folder / "losses.png")
    report(record.trainer.model, validation, folder, args.device, title, matrices)
    print(f"wrote {folder / common.CHECKPOINT} and {folder / LOG}")
    if record.best is not None:
        score, step = record.best["mean_iu"], record.best["step"]
        print(f"wrote {folder / BEST}: the best of the validations, mean IU {100 * score:.1f} % after step {step}")
