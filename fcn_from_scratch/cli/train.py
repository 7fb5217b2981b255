"""`fcn train`: train a network, keep a checkpoint, score it and show what it learned."""

import argparse
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, models, viz, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.cli.evaluate import report
from fcn_from_scratch.files import remove_leftovers, write_atomically
from fcn_from_scratch.training import SGD, Trainer, checkpoint, constant, polynomial, recipes, warm_up

HELP = "Train a network on drawn shapes or on your own pictures."
EXAMPLE = """  fcn train --model mini_fcn8s --steps 600 --out runs/shapes
  fcn train --model mini_fcn8s --dataset camvid --root data/CamVid --steps 1500 --out runs/camvid
  fcn train --model mini_fcn16s --weights runs/32s/checkpoint.npz --out runs/16s
  fcn train --resume --out runs/camvid"""

LARGEST_CROP = (240, 320)  # unless --crop says otherwise


def add_arguments(parser):
    parser.add_argument("--model", default="mini_fcn8s", metavar="NAME", help=", ".join(models.NAMES))
    common.add_data_arguments(parser)
    group = parser.add_argument_group("network")
    group.add_argument("--width", type=common.positive, metavar="N", help="channels of the first stage")
    group.add_argument("--dropout", type=float, metavar="P", help="dropout after fc6 and fc7")
    group.add_argument("--upsampling", choices=models.UPSAMPLING, help="default fixed")
    group.add_argument("--weights", metavar="FILE", help="start from another run's weights, as far as names fit")
    group.add_argument("--freeze-trunk", action="store_true", help="train the score layers only (32s-fixed)")
    group = parser.add_argument_group("training")
    group.add_argument(
        "--recipe", choices=recipes.RECIPES, default="mini", help="settings to start from (default mini)"
    )
    group.add_argument("--steps", type=common.positive, metavar="N", help="steps in all")
    group.add_argument("--lr", type=float, metavar="X", help="learning rate; belongs to the reduction")
    group.add_argument(
        "--schedule", choices=("poly", "fixed"), default="poly", help="how the rate falls (default poly)"
    )
    group.add_argument("--momentum", type=float, metavar="X")
    group.add_argument("--weight-decay", type=float, metavar="X")
    group.add_argument("--reduction", choices=("mean", "sum"), help="of the loss over the pixels")
    group.add_argument("--batch-size", type=common.positive, metavar="N")
    group.add_argument("--iter-size", type=common.positive, metavar="N", help="batches added up for one step")
    group.add_argument(
        "--crop",
        type=common.size,
        metavar="HxW",
        help="train on random, scaled, mirrored crops (default 240x320, or the first picture's size; not for shapes)",
    )
    group.add_argument("--no-augment", action="store_true", help="train on whole pictures as they are")
    group.add_argument(
        "--balance",
        type=float,
        default=0.0,
        metavar="P",
        help="weigh classes by (1 / frequency)**P (default 0: not)",
    )
    group.add_argument("--save-seconds", type=float, default=60, metavar="S", help=argparse.SUPPRESS)
    parser.add_argument("--out", metavar="DIR", help="folder for the run (default runs/MODEL-DATASET)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own settings")
    common.add_run_arguments(parser)


def run(args):
    folder = Path(args.out or f"runs/{args.model}-{args.dataset or 'shapes'}")
    path = folder / common.CHECKPOINT
    resumed = args.resume and path.exists()
    if resumed:
        args = _resumed(args, path)
    elif path.exists():
        raise InputError(f"{folder} already holds a run: pass --resume to go on with it, or another --out")
    else:
        _settle(args)
    common.check_device(args.device)
    dataset = common.build_dataset(args, "train")
    validation = common.build_dataset(args, "val")
    trainer = build_trainer(args, dataset, resumed)
    common.output_folder(folder)
    remove_leftovers(path)
    extra = _extra(args, dataset, trainer.model)
    if resumed:
        checkpoint.load(path, trainer)
        print(f"going on at step {trainer.steps} of {args.steps}")
    _describe(args, trainer, dataset)
    trainer.run(args.steps, save=lambda: checkpoint.save(path, trainer, extra), save_seconds=args.save_seconds)
    _write_losses(folder, trainer.losses)
    report(trainer.model, validation, folder, args.device, f"{args.model} on {dataset_name(args)}")
    print(f"wrote {path}")
    return 0


def build_trainer(args, dataset, resumed=False):
    """The network, optimiser and batches that settled arguments describe; a resumed run has its weights elsewhere."""
    options = {key: getattr(args, key) for key in ("width", "dropout", "upsampling")}
    options = {key: value for key, value in options.items() if value is not None}
    model = common.build_model(args.model, dataset.num_classes, args.seed, **options)
    if "classifier" in args.model:
        raise InputError("a classifier has one answer a picture and no label maps to learn from: lesson 4 trains one")
    if args.weights and not resumed:
        print(f"from {args.weights}: {weights.load(model, args.weights)}")
    if args.freeze_trunk:
        model.freeze_trunk()
    model.to(args.device)
    batches = datasets.Batches(
        dataset,
        args.batch_size,
        model.transform,
        _augmentation(args, dataset),
        args.seed,
        drop_last=len(dataset) >= args.batch_size,
    )
    try:
        schedule = constant(args.lr) if args.schedule == "fixed" else polynomial(args.lr, args.steps)
        if args.schedule == "poly":
            schedule = warm_up(schedule, min(50, args.steps // 10))
        optimizer = SGD(model, schedule, args.momentum, args.weight_decay)
    except ValueError as error:
        raise InputError(str(error)) from None
    return Trainer(
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


def _settle(args):
    """Fill what was not given from the recipe, so that the checkpoint names every setting."""
    recipe = recipes.RECIPES[args.recipe]
    for name in ("steps", "lr", "momentum", "weight_decay", "reduction", "batch_size", "iter_size"):
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    doubt = recipes.doubt(args.lr, args.reduction)
    if doubt:
        print(f"warning: {doubt}")


def _resumed(args, path):
    """The saved run's arguments; only --out, --device and more --steps are taken from the new ones."""
    _, meta = checkpoint.read(path)
    arguments = meta["extra"].get("arguments")
    if not isinstance(arguments, dict):
        raise InputError(f"{path} was not written by `fcn train`: it does not say how to go on")
    saved = argparse.Namespace(**{**vars(args), **arguments})
    saved.out, saved.device, saved.resume = args.out, args.device, True
    if args.steps is not None:
        saved.steps = args.steps
    return saved


def _extra(args, dataset, model):
    keep = {k: v for k, v in vars(args).items() if k not in ("run", "resume", "out", "device", "save_seconds")}
    return {
        "arguments": keep,
        "dataset": dataset_name(args),
        "classes": list(dataset.classes),
        "palette": dataset.palette[: dataset.num_classes].tolist(),
        "transform": model.transform.as_dict(),
    }


def _augmentation(args, dataset):
    if args.no_augment or dataset_name(args) == "shapes":
        return None
    # Small pictures are not padded to the usual crop: that would be work on nothing.
    crop = args.crop or tuple(map(min, LARGEST_CROP, dataset[0].labels.shape))
    return datasets.Compose(
        (
            datasets.RandomScale(0.5, 1.5),
            datasets.RandomCrop(crop),
            datasets.RandomFlip(),
            datasets.ColourJitter(0.3),
        )
    )


def _class_weight(args, dataset):
    """(1 / frequency)**P, scaled so that an average pixel weighs 1."""
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
