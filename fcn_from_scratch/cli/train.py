"""`fcn train`: train a network, write checkpoints, and score the network while it trains and at the end."""

import shlex
import sys
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from fcn_from_scratch import backend, checks, viz, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, memory_check, own_arguments, signals, train_data, train_figure
from fcn_from_scratch.cli.apart import Apart
from fcn_from_scratch.cli.evaluate import report
from fcn_from_scratch.cli.train_arguments import add_arguments, complete, given, option, require_used
from fcn_from_scratch.cli.train_resume import resumed, to_save
from fcn_from_scratch.cli.train_setup import build_trainer, dataset_name, slow_down
from fcn_from_scratch.datasets.own.naming import require_same
from fcn_from_scratch.files import reserve, target
from fcn_from_scratch.lab.mpi import parallel
from fcn_from_scratch.lab.mpi.group import join
from fcn_from_scratch.lab.tensorboard import Board
from fcn_from_scratch.training import checkpoint, evaluate_heads, recipes, rounding
from fcn_from_scratch.training.finite import DivergedError
from fcn_from_scratch.training.lock import locked
from fcn_from_scratch.training.picture_losses import PictureLosses
from fcn_from_scratch.training.readable import Readable
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
        if args.resume:
            raise InputError("--recipe list only prints the recipes: leave out --resume")
        print(recipes.table())
        return 0
    with backend.plain(args.plain), join() as group:
        return _train(args, typed, group)


def _train(args, typed, group):
    """The command. With a lab.mpi.group.Group this process is one of several that train together (lab.mpi.parallel).

    typed   the options of the command line, name -> value; the others of `args` are defaults
    """
    _choose(args)
    if args.keep is not None and args.snapshot_every is None and not args.resume:
        raise InputError("--keep says how many snapshots stay: pass --snapshot-every N too")
    folder = Path(args.out or f"runs/{args.model}-{dataset_name(args)}")
    path = folder / common.CHECKPOINT
    first = group is None or group.first
    with ExitStack() as stack:
        changed, lock = {}, None
        if args.resume:
            _require_a_run(path)
            if first:
                lock = stack.enter_context(locked(folder))
                checkpoint.recover(path)
            if group:
                group.gather(None)  # the others read the file when the first has looked at it
            args, changed = resumed(args, typed, path)
        elif path.exists():
            raise InputError(_taken(folder))
        else:
            train_data.settle(args, recipes.find(args.recipe), "recipe" in typed)
            require_used(args, typed)
            _announce(args)
        _settle(args)
        return _run(args, folder, group, changed, stack, lock)


def _require_a_run(path):
    """Raises: InputError if there is nothing to resume. A mistyped --out must not start a new run."""
    if not path.exists() and not checkpoint.previous(path).exists():
        raise InputError(
            f"there is no run in {path.parent}: it holds no {path.name}. Leave out --resume to start one, or name the "
            "run's folder with --out"
        )


def _taken(folder):
    return f"{folder} already holds a run: pass --resume to continue it, or another --out"


def _run(args, folder, group, changed, stack, lock):
    """Build everything, try the output, train, score. Returns: the exit status."""
    first = group is None or group.first
    common.check_device(args.device)
    if group and args.device == "cuda":
        backend.use_gpu(group.local)
    left_out = []
    common.require_sbd_used(args.sbd, args.split, args.val_split)
    dataset = _dataset(args, False, left_out)
    if args.resume and args.names:  # a class file that was edited since would give the ids other meanings
        require_same(args.names, dataset.classes, f"the run in {folder} was trained on other classes than are here")
    args.names = getattr(args, "names", None) or list(dataset.classes)  # a validation set may lack a class
    validation = _dataset(args, True, left_out)
    own_arguments.tell(dataset, validation)
    require_same(dataset.classes, validation.classes, f"{args.split} and {args.val_split} have other classes")
    own_arguments.keep(args, dataset)
    trainer = build_trainer(args, dataset, args.resume, group)
    memory_check.require_batch_memory(
        trainer.model, args.batch_size, args.crop or dataset[0].image.shape[:2], args.device
    )
    board = Board(folder / "tensorboard") if args.tensorboard and first else None
    if first:
        lock = _try_out(folder, trainer, args, stack, lock)
    if board:
        stack.enter_context(closing(board))
    losses = PictureLosses(validation.ignore_index)
    record = _record(args, folder if first else None, trainer, dataset, validation, losses, group, board, lock)
    record.start(_load(folder / common.CHECKPOINT, trainer, args, changed) if args.resume else None)
    _describe(args, trainer, dataset)
    for line in train_data.other_counts(args, recipes.find(args.recipe), dataset, validation):
        print(line)
    if group:
        print(f"{group.size} processes share the pictures of each step")
    with _how_to_go_on(args, folder, record):
        with signals.patient():
            stop = signals.pending
            trainer.run(args.steps, save=record.save, save_seconds=args.save_seconds, watch=record, stop=stop)
        if (error := signals.pending()) is not None:
            raise error
        matrices = record.finish()
    if first:
        _finish(args, folder, record, validation, matrices, losses)
        own_arguments.warn_of_same_pictures(dataset, validation, (args.split, args.val_split))
    return _tell_left_out(left_out, group)


def _dataset(args, is_validation, left_out):
    """The data to train or to score on. Without --strict, pictures that cannot be read are left out."""
    dataset = train_data.build(args, args.val_split if is_validation else args.split, is_validation)
    return dataset if args.strict else Readable(dataset, left_out)


def _try_out(folder, trainer, args, stack, lock):
    """Take the run's folder for this process, and see that its files will find room, before hours are spent.

    A run holds the last checkpoint and the best one, while a third is being written.
    Returns: the folder's lock, which a resumed run holds already.
    """
    common.output_folder(folder)
    results = [folder / name for name in (common.CHECKPOINT, BEST, LOG, *FIGURES)]
    for path in results:
        target(path)
    if args.weights and not args.resume:
        Apart([args.weights] if isinstance(args.weights, str) else args.weights, "choose another --out")(results)
    if not args.resume:
        lock = stack.enter_context(locked(folder))
        if (folder / common.CHECKPOINT).exists():  # another process has been here since
            raise InputError(_taken(folder))
    there = sum((folder / name).exists() for name in (common.CHECKPOINT, BEST))
    size = 2 * sum(array.nbytes for array in trainer.model.params.values()) + 8 * min(args.steps, 10**7) + 2**16
    reserve(folder, size, 3 - there + _snapshots_to_come(args, trainer))
    return lock


def _snapshots_to_come(args, trainer):
    """How many snapshots the run will add to its folder; at most MOST_TRIED are tried out."""
    if args.snapshot_every is None:
        return 0
    number = args.steps // args.snapshot_every - trainer.steps // args.snapshot_every
    return min(number, args.keep or number, MOST_TRIED)


@contextmanager
def _how_to_go_on(args, folder, record):
    """Let an error or a signal during the training say how to go on from what is saved."""
    try:
        yield
    except (InputError, OSError, MemoryError, signals.StoppedError) as error:
        error.going_on = "" if record.moved else _going_on(args, folder, record.saved, error)
        raise


def _going_on(args, folder, saved, error):
    resume = f"fcn train --resume --out {shlex.quote(str(folder))}"
    if isinstance(error, DivergedError) and error.by_rate:
        lr = f"--lr {args.lr / 10:.3g}"
        if saved is None:
            return f"; no step was saved before: start again with {lr}"
        return f"; the last good checkpoint, of step {saved}, is kept: `{resume} {lr}` goes on there"
    if saved is None:
        return "; no step was saved yet"
    return f"; step {saved} is saved: `{resume}` goes on there"


def _tell_left_out(left_out, group):
    """Name the pictures that could not be read. Returns: the exit status."""
    if group:
        left_out = sorted({reason for reasons in group.gather(left_out) for reason in reasons})
    if not left_out:
        return 0
    number = f"{len(left_out)} file{'s' * (len(left_out) > 1)}"
    text = checks.printable("; ".join(left_out))
    print(f"fcn: {number} could not be read, and the pictures were left out: {text}", file=sys.stderr)
    return 1


def _choose(args):
    """Choose the network and the recipe. Each has a default that depends on the other."""
    if args.recipe is None:
        args.recipe = recipes.usual(args.model)
    if args.model is None:
        args.model = recipes.find(args.recipe).model or "mini_fcn8s"


FIGURES = ("losses.png", "predictions.png", "metrics.json")
MOST_TRIED = 64  # files whose room is tried out at once

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
    yield f"recipe {args.recipe} ({recipe.source}), for {recipe.data}"
    typed = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    changed = [
        f"{option(name)} {value} for {getattr(recipe, name)}"
        for name, value in typed.items()
        if value != getattr(recipe, name)
    ]
    changed += train_data.departures(args, recipe)
    if changed:
        yield f"changed settings: {', '.join(changed)}"
    if args.weights is None:
        start = recipes.start_in_words(recipe)
        files = "FILE FILE" if " and " in recipe.start else "FILE"
        yield f"warning: it starts from {start}: pass --weights {files}; from random weights it will hardly learn"


def _settle(args):
    """Take missing settings from the recipe, so that the checkpoint records all of them."""
    recipe = recipes.find(args.recipe)
    for name in _SETTINGS:
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    args.no_augment = args.no_augment or (recipe.whole and args.crop is None)


def _record(args, folder, trainer, dataset, validation, losses, group, board, lock):
    """What the run writes down. Several processes share the scoring; folder and board are those of the first."""
    count = partial(parallel.evaluate_heads, group) if group else partial(evaluate_heads, stop=signals.pending)
    progress = group is None or group.first

    def score():
        losses.merge(())  # begin anew
        return count(trainer.model, validation, args.device, progress, each=losses)

    return Record(
        trainer,
        folder,
        score,
        args.val_every,
        args.steps,
        _extra(args, dataset, trainer.model),
        board,
        args.snapshot_every,
        args.keep,
        lock,
    )


def _extra(args, dataset, model):
    """What a checkpoint keeps beside the state: what is needed to build the run again."""
    return {
        "arguments": to_save(args),
        "dataset": dataset_name(args),
        "classes": list(dataset.classes),
        "palette": dataset.palette[: dataset.num_classes].tolist(),
        "transform": model.transform.as_dict(),
        "rounding": rounding.facts(args.device),
    }


def _load(path, trainer, args, changed):
    """Load the checkpoint of a run that goes on; returns its `extra`. Say what is changed from here on."""
    extra = checkpoint.load(path, trainer, ("batch_size", "drop_last") if "batch_size" in changed else ())
    print(f"going on at step {trainer.steps} of {args.steps}")
    if differ := rounding.changed(extra.get("rounding"), rounding.facts(args.device)):
        print(f"note: the results may differ in rounding from a run without a break: {'; '.join(differ)}")
    for name, before in changed.items():
        print(f"from here on {option(name)} is {getattr(args, name)}; it was {before}")
    if changed and slow_down(trainer, args, changed):
        print("the velocities are scaled down with it")
    return extra


def _describe(args, trainer, dataset):
    number = sum(array.size for array in trainer.model.params.values())
    print(
        f"{args.model}: {number:,} parameters, {dataset.num_classes} classes; {len(dataset)} pictures of "
        f"{dataset_name(args)}; {args.steps} steps of {args.batch_size * args.iter_size}, learning rate {args.lr:g} "
        f"({args.schedule}, {args.reduction}), momentum {args.momentum:g}, decay {args.weight_decay:g}"
    )
    print(weights.feed(trainer.model, dataset), flush=True)


def _finish(args, folder, record, validation, matrices, losses):
    """Draw the figures, print and write the scores, and say what was written."""
    title = f"{args.model} on {dataset_name(args)}"
    viz.save_figure(train_figure.draw(record.log.rows, record.best, title), folder / "losses.png")
    report(record.trainer.model, validation, folder, args.device, title, matrices, losses)
    print(checks.printable(f"wrote {folder / common.CHECKPOINT} and {folder / LOG}"))
    if record.best is not None:
        score, step = record.best["mean_iu"], record.best["step"]
        best = checks.printable(str(folder / BEST))
        print(f"wrote {best}: the best of the validations, mean IU {100 * score:.1f} % after step {step}")
