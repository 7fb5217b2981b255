"""`fcn train`: train a network, write checkpoints, and score the network at the end."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fcn_from_scratch import backend, datasets, models, viz, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.cli.evaluate import report
from fcn_from_scratch.files import remove_leftovers, write_atomically
from fcn_from_scratch.lab.mpi import parallel
from fcn_from_scratch.lab.mpi.group import join
from fcn_from_scratch.training import SGD, Trainer, checkpoint, constant, polynomial, recipes, warm_up

HELP = "Train a network on drawn shapes, on a dataset or on your own pictures."
EXAMPLE = """  fcn train --model mini_fcn8s --steps 600 --out runs/shapes
  fcn train --model mini_fcn8s --dataset camvid --root data/CamVid --steps 1500 --out runs/camvid
  fcn train --model mini_fcn16s --weights runs/32s/checkpoint.npz --out runs/16s
  fcn train --recipe list
  fcn train --recipe fcn16s-heavy --weights runs/32s/checkpoint.npz --dataset voc --root data/VOC --out runs/voc16s
  fcn train --resume --out runs/camvid
  mpiexec -n 4 fcn train --batch-size 8 --out runs/shapes4     (four processes share each batch; needs mpi4py)"""

LARGEST_CROP = (240, 320)  # the default of --crop


def add_arguments(parser):
    parser.add_argument("--model", metavar="NAME", help=f"default: the recipe's; one of {', '.join(models.NAMES)}")
    common.add_data_arguments(parser)
    parser.add_argument("--split", default="train", help="split to train on (default train)")
    parser.add_argument("--val-split", default="val", help="split to score on at the end (default val)")
    group = parser.add_argument_group("network")
    group.add_argument("--width", type=common.positive, metavar="N", help="channels of the first stage")
    group.add_argument("--dropout", type=float, metavar="P", help="dropout after fc6 and fc7")
    group.add_argument("--upsampling", choices=models.UPSAMPLING, help="kind of upsampling (default fixed)")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="start from the weights in a checkpoint, .caffemodel, .pth, .npz or .safetensors, where names match",
    )
    group.add_argument(
        "--new-scores", action="store_true", help="ignore the file's score layers if they are for other classes"
    )
    common.add_preprocessing_argument(group)
    group.add_argument(
        "--freeze-trunk", action="store_true", help="train only the score layers, as the paper's FCN-32s-fixed"
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--recipe",
        metavar="NAME",
        help="a set of settings, such as the paper's; `list` prints all (default: the network's own)",
    )
    group.add_argument("--steps", type=common.positive, metavar="N", help="number of all steps")
    group.add_argument("--lr", type=float, metavar="X", help="learning rate; it must fit the reduction")
    group.add_argument("--schedule", choices=("poly", "fixed"), help="schedule of the learning rate")
    group.add_argument("--momentum", type=float, metavar="X")
    group.add_argument("--weight-decay", type=float, metavar="X")
    group.add_argument("--reduction", choices=("mean", "sum"), help="how the loss combines the pixels")
    group.add_argument("--batch-size", type=common.positive, metavar="N")
    group.add_argument(
        "--iter-size", type=common.positive, metavar="N", help="batches whose gradients are added up for one step"
    )
    group.add_argument(
        "--sampling",
        choices=("epoch", "replacement"),
        help="epoch: all pictures in a new order each epoch; replacement: draw each picture from all",
    )
    group.add_argument(
        "--crop",
        type=common.size,
        metavar="HxW",
        help="size of random, scaled, mirrored crops (default 240x320, or the first picture's size; not for shapes)",
    )
    group.add_argument("--no-augment", action="store_true", help="train on whole, unchanged pictures")
    group.add_argument(
        "--balance",
        type=float,
        default=0.0,
        metavar="P",
        help="weight the classes by (1 / frequency)**P (default 0: equal weights)",
    )
    group.add_argument("--save-seconds", type=float, default=60, metavar="S", help=argparse.SUPPRESS)
    parser.add_argument("--out", metavar="DIR", help="folder for the run (default runs/MODEL-DATASET)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out, with its own settings")
    common.add_plain_argument(parser)
    common.add_run_arguments(parser)


def run(args):
    if args.recipe == "list":
        print(recipes.table())
        return 0
    with backend.plain(args.plain), join() as group:
        _train(args, group)
    return 0


def _train(args, group):
    """The command. With a lab.mpi.group.Group this process is one of several that train together (lab.mpi.parallel)."""
    _choose(args)
    folder = Path(args.out or f"runs/{args.model}-{args.dataset or 'shapes'}")
    path = folder / common.CHECKPOINT
    resumed = args.resume and path.exists()
    if resumed:
        args = _resumed(args, path)
    elif path.exists():
        raise InputError(f"{folder} already holds a run: pass --resume to continue it, or another --out")
    else:
        _announce(args)
    _settle(args)
    common.check_device(args.device)
    if group and args.device == "cuda":
        backend.use_gpu(group.local)
    dataset = common.build_dataset(args, args.split)
    validation = common.build_dataset(args, args.val_split)
    trainer = build_trainer(args, dataset, resumed, group)
    common.output_folder(folder)
    remove_leftovers(path)
    extra = _extra(args, dataset, trainer.model)
    if resumed:
        checkpoint.load(path, trainer)
        print(f"going on at step {trainer.steps} of {args.steps}")
    _describe(args, trainer, dataset)
    if group:
        print(f"{group.size} processes share the pictures of each step")
    trainer.run(args.steps, save=lambda: checkpoint.save(path, trainer, extra), save_seconds=args.save_seconds)
    matrices = parallel.evaluate_heads(group, trainer.model, validation, args.device, group.first) if group else None
    if group and not group.first:
        return
    _write_losses(folder, trainer.losses)
    report(trainer.model, validation, folder, args.device, f"{args.model} on {dataset_name(args)}", matrices)
    print(f"wrote {path}")


def build_trainer(args, dataset, resumed=False, group=None):
    """The Trainer that complete arguments describe. A resumed run gets its weights from the checkpoint instead."""
    options = {key: getattr(args, key) for key in ("width", "dropout", "upsampling")}
    options = {key: value for key, value in options.items() if value is not None}
    channels = dataset[0].image.shape[2]
    if channels != 3 and "late_fusion" not in args.model:
        options["in_channels"] = channels
    model = common.build_model(args.model, dataset.num_classes, args.seed, **options)
    if "classifier" in args.model:
        raise InputError(
            "a classifier predicts one class for a picture and cannot learn from label maps: lesson 4 trains one"
        )
    if args.weights and not resumed:
        words = {"preprocessing": args.preprocessing, "new_scores": args.new_scores}
        report = weights.load(model, args.weights, **words)
        print("\n".join([f"from {args.weights}: {report}", *report.notes]))
    common.check_channels(model, dataset)
    saved = getattr(args, "transform", None)  # of a resumed run
    model.transform = datasets.Preprocess.from_dict(saved) if saved else _transform(model.transform, dataset)
    if args.freeze_trunk:
        model.freeze_trunk()
    model.to(args.device)
    batches = datasets.Batches(
        dataset,
        args.batch_size,
        model.transform,
        _augmentation(args, dataset, model.transform),
        args.seed,
        args.sampling,
        drop_last=len(dataset) >= args.batch_size,
    )
    try:
        schedule = constant(args.lr) if args.schedule == "fixed" else polynomial(args.lr, args.steps)
        if args.schedule == "poly":
            schedule = warm_up(schedule, min(50, args.steps // 10))
        multipliers = recipes.find(args.recipe).multipliers
        optimizer = SGD(model, schedule, args.momentum, args.weight_decay, multipliers)
    except ValueError as error:
        raise InputError(str(error)) from None
    make = partial(parallel.ParallelTrainer, group) if group else Trainer
    return make(
        model,
        optimizer,
        batches,
        args.reduction,
        args.iter_size,
        _class_weight(args, dataset),
        device=args.device,
    )


def dataset_name(args):
    return args.dataset or "shapes"


# Settings that a recipe gives and the command line may change.
_SETTINGS = (
    *("model", "upsampling", "steps", "lr", "schedule", "momentum", "weight_decay", "reduction", "batch_size"),
    *("iter_size", "sampling"),
)


def _choose(args):
    """Choose the network and the recipe. Each has a default that depends on the other."""
    if args.recipe is None:
        args.recipe = recipes.usual(args.model)
    if args.model is None:
        args.model = recipes.find(args.recipe).model or "mini_fcn8s"


def _announce(args):
    """Print a recipe of the paper, its changed settings, and warnings about missing weights or an unusual rate."""
    recipe = recipes.find(args.recipe)
    if recipe.start is not None:
        print(f"recipe {args.recipe} ({recipe.source}), made for {recipe.data}")
        given = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
        changed = [
            f"--{name.replace('_', '-')} {value} for {getattr(recipe, name)}"
            for name, value in given.items()
            if value != getattr(recipe, name)
        ]
        if changed:
            print(f"changed settings: {', '.join(changed)}")
        if args.weights is None:
            print(
                f"warning: it starts from {recipe.start}: pass --weights FILE; from random weights it will hardly learn"
            )
    lr, reduction = (getattr(recipe, n) if getattr(args, n) is None else getattr(args, n) for n in ("lr", "reduction"))
    doubt = recipes.doubt(lr, reduction)
    if doubt:
        print(f"warning: {doubt}")


def _settle(args):
    """Take missing settings from the recipe, so that the checkpoint records all of them."""
    recipe = recipes.find(args.recipe)
    for name in _SETTINGS:
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    args.no_augment = args.no_augment or (recipe.whole and args.crop is None)


def _resumed(args, path):
    """The arguments of the saved run. Only --out, --device and --steps are taken from the new arguments."""
    _, meta = checkpoint.read(path)
    arguments = meta["extra"].get("arguments")
    if not isinstance(arguments, dict):
        raise InputError(f"{path} was not written by `fcn train`: it does not hold the settings of a run")
    saved = argparse.Namespace(**{**vars(args), **arguments})
    saved.out, saved.device, saved.resume = args.out, args.device, True
    saved.transform = meta["extra"].get("transform")
    if args.steps is not None:
        saved.steps = args.steps
    return saved


def _extra(args, dataset, model):
    keep = {
        k: v
        for k, v in vars(args).items()
        if k not in ("run", "resume", "out", "device", "plain", "save_seconds", "transform")
    }
    return {
        "arguments": keep,
        "dataset": dataset_name(args),
        "classes": list(dataset.classes),
        "palette": dataset.palette[: dataset.num_classes].tolist(),
        "transform": model.transform.as_dict(),
    }


def _transform(transform, dataset):
    """The preprocessing with the means that the paper's public code subtracts from the pictures of this dataset.

    Weights that expect another scale than the paper's, such as 0..1, keep their own preprocessing.
    """
    theirs = dataset.preprocess
    return transform if theirs is None or transform.scale != theirs.scale else replace(theirs, std=transform.std)


def _augmentation(args, dataset, transform):
    if args.no_augment or dataset_name(args) == "shapes":
        return None
    image, labels, _ = dataset[0]
    # Small pictures are not padded to the usual crop: padding costs time and teaches nothing.
    crop = args.crop or tuple(map(min, LARGEST_CROP, labels.shape[-2:]))
    steps = [
        datasets.RandomScale(0.5, 1.5),
        datasets.RandomCrop(crop, transform.neutral(image.shape[2])),
        datasets.RandomFlip(),
    ]
    if args.modality != "hha":  # HHA has no colours to change
        steps.append(datasets.ColourJitter(0.3))
    return datasets.Compose(tuple(steps))


def _class_weight(args, dataset):
    """The weights (1 / frequency)**P, scaled so that their mean over all pixels is 1."""
    if not args.balance:
        return None
    counts = datasets.count_ids(dataset)[: dataset.num_classes].astype(float)
    share = counts / max(counts.sum(), 1)
    with np.errstate(all="ignore"):
        factors = np.where(share > 0, np.maximum(share, 1e-12) ** -args.balance, 0)
        weight = (factors / (factors * share).sum()).astype(np.float32)
    if not np.isfinite(weight).all():
        raise InputError(f"--balance {args.balance:g} gives no finite class weights; 0.5 is a usual value")
    return weight


def _describe(args, trainer, dataset):
    number = sum(array.size for array in trainer.model.params.values())
    print(
        f"{args.model}: {number:,} parameters, {dataset.num_classes} classes; {len(dataset)} pictures of "
        f"{dataset_name(args)}; {args.steps} steps of {args.batch_size * args.iter_size}, learning rate {args.lr:g} "
        f"({args.schedule}, {args.reduction}), momentum {args.momentum:g}, decay {args.weight_decay:g}"
    )


def _write_losses(folder, losses):
    lines = ["step,loss", *(f"{step},{loss:.9g}" for step, loss in enumerate(losses))]
    write_atomically(folder / "losses.csv", lambda file: file.write(("\n".join(lines) + "\n").encode()))
    viz.save_figure(viz.curves({"loss": losses}, "step", "loss a pixel", "Training loss"), folder / "losses.png")
