"""From the settings of `fcn train` to a Trainer: network, weights, preprocessing, pictures, optimiser."""

import argparse
from functools import partial

import numpy as np

from fcn_from_scratch import datasets, weights
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli import common
from fcn_from_scratch.lab.mpi import parallel
from fcn_from_scratch.training import SGD, Trainer, constant, finite, polynomial, recipes, warm_up

LARGEST_CROP = (240, 320)  # the default of --crop


def build_trainer(args, dataset, resumed=False, group=None):
    """The Trainer that complete arguments describe. A resumed run gets its weights from the checkpoint instead."""
    model = _network(args, dataset)
    if args.weights and not resumed:
        _start(model, args)
    common.check_channels(model, dataset)
    saved = getattr(args, "transform", None)  # of a resumed run
    if saved:
        model.told = weights.recorded(datasets.Preprocess.from_dict(saved), model, dataset)
    weights.feed(model, dataset)
    if args.freeze_trunk:
        model.freeze_trunk()
    model.to(args.device)
    make = partial(parallel.ParallelTrainer, group) if group else Trainer
    return make(
        model,
        _optimizer(args, model),
        _batches(args, dataset, model.transform),
        args.reduction,
        args.iter_size,
        class_weight(args, dataset),
        device=args.device,
    )


def _start(model, args):
    """Fill the network from the files of --weights, and say what became of each array."""
    files = [args.weights] if isinstance(args.weights, str) else args.weights  # a text in runs of older versions
    report = weights.load(model, files, preprocessing=args.preprocessing, new_scores=args.new_scores or False)
    where = " and ".join(files)
    finite.require(model.params, where)
    lines = [f"from {where}: {report}", *report.notes, *_other_steps(files, recipes.find(args.recipe))]
    print("\n".join(map(printable, lines)))


def _other_steps(files, recipe):
    """Sentences about files that are not of the step from which the published network starts."""
    if len(files) != len(recipe.start_steps):
        return []
    steps = [weights.read_file(file).meta.get("steps") for file in files]
    return [
        f"note: {file} is of step {here:,}; the published network starts from step {there:,}"
        for file, here, there in zip(files, steps, recipe.start_steps)
        if type(here) is int and here != there
    ]


def dataset_name(args):
    return args.dataset or "shapes"


def _network(args, dataset):
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
    return model


def slow_down(trainer, args, changed):
    """Scale the velocities of a resumed run down with its learning rate. Returns: whether it was lowered.

    Caffe's velocity holds the rate of the steps before. At a rate that made the run diverge, it would carry the weights
    on for many steps, whatever the new rate is.
    """
    before = argparse.Namespace(**{**vars(args), **{n: changed[n] for n in ("lr", "schedule") if n in changed}})
    old, new = _schedule(before)(trainer.steps), trainer.optimizer.lr
    if new >= old:
        return False
    for velocity in trainer.optimizer.velocity.values():
        velocity *= velocity.dtype.type(new / old)
    return True


def _schedule(args):
    """The learning rate as a function of the step."""
    if args.schedule == "fixed":
        return constant(args.lr)
    return warm_up(polynomial(args.lr, args.steps), min(50, args.steps // 10))


def _optimizer(args, model):
    try:
        schedule = _schedule(args)
        multipliers = recipes.find(args.recipe).multipliers
        return SGD(model, schedule, args.momentum, args.weight_decay, multipliers)
    except ValueError as error:
        raise InputError(str(error)) from None


def _batches(args, dataset, transform):
    return datasets.Batches(
        dataset,
        args.batch_size,
        transform,
        augmentation(args, dataset, transform),
        args.seed,
        args.sampling,
        drop_last=len(dataset) >= args.batch_size,
    )


def augmentation(args, dataset, transform):
    """The random changes of the training pictures; None for whole, unchanged pictures."""
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


def class_weight(args, dataset):
    """The weights (1 / frequency)**P, scaled so that their mean over all pixels is 1. None for P = 0."""
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
