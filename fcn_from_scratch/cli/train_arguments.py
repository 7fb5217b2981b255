"""The options of `fcn train`."""

import argparse

from fcn_from_scratch import datasets, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common


def add_arguments(parser):
    """Add all options. An option that is not given is None in the parsed arguments: see `given` and `complete`."""
    parser.add_argument("--model", metavar="NAME", help=f"default: the recipe's; one of {', '.join(models.NAMES)}")
    common.add_data_arguments(parser)
    parser.add_argument("--split", help="split to train on (default: the recipe's, or train)")
    parser.add_argument("--val-split", help="split to score on (default: the recipe's, or val)")
    parser.add_argument(
        "--val-dataset",
        choices=datasets.NAMES,
        help="kind of data to score on (default: the recipe's, or that of the training)",
    )
    common.add_root_argument(parser, "folder of the data to score on (default: --root)", "--val-root")
    _add_network(parser.add_argument_group("network"))
    group = parser.add_argument_group("training")
    _add_steps(group)
    _add_pictures(group)
    _add_records(parser.add_argument_group("records"))
    parser.add_argument("--resume", action="store_true", help="continue the run in --out, with its own settings")
    parser.add_argument(
        "--strict", action="store_true", help="stop at a picture that cannot be read (default: do the rest)"
    )
    common.add_plain_argument(parser)
    common.add_run_arguments(parser)
    defaults = vars(parser.parse_args([]))
    parser.set_defaults(**dict.fromkeys(defaults), defaults=defaults)


def given(args):
    """The options that the command line gives, name -> value."""
    return {name: getattr(args, name) for name in args.defaults if getattr(args, name) is not None}


def complete(args):
    """The arguments with the default of every option that is not given."""
    return argparse.Namespace(**{**args.defaults, **given(args)})


def require_used(args, typed):
    """Raises: InputError for an option that is given and of which a new run would make no use: none is just dropped.

    The data of the run is known: see train_data.settle.
    """
    for name, is_unused, why in (
        ("new_scores", not args.weights, "it says what is taken from --weights FILE, which is not given"),
        ("preprocessing", not args.weights, "it says what --weights FILE expects, which is not given"),
        ("crop", args.no_augment, "--no-augment trains on whole pictures"),
        ("crop", args.dataset in (None, "shapes"), "drawn shapes are not cropped: --size is their size"),
    ):
        if name in typed and is_unused:
            raise InputError(f"{option(name)} has no use here: {why}")


def option(name):
    """The option as it is typed: weight_decay -> --weight-decay."""
    return f"--{name.replace('_', '-')}"


def _add_network(group):
    group.add_argument("--width", type=common.positive, metavar="N", help="channels of the first stage")
    group.add_argument("--dropout", type=float, metavar="P", help="dropout after fc6 and fc7")
    group.add_argument("--upsampling", choices=models.UPSAMPLING, help="kind of upsampling (default fixed)")
    group.add_argument(
        "--weights",
        metavar="FILE",
        nargs="+",
        help="start from the weights in a checkpoint, .caffemodel, .pth, .npz or .safetensors, where names match; a "
        "late fusion starts from two files: colour, then HHA",
    )
    group.add_argument(
        "--new-scores",
        type=common.positive,
        nargs="?",
        const=True,
        default=False,
        metavar="K",
        help="ignore the file's score layers if they are for other classes; with K, keep the rows of the first K",
    )
    common.add_preprocessing_argument(group)
    group.add_argument(
        "--freeze-trunk", action="store_true", help="train only the score layers, as the paper's FCN-32s-fixed"
    )


def _add_steps(group):
    """Options that decide what a step is, and how many are taken."""
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
    group.add_argument("--batch-size", type=common.of_a_step, metavar="N")
    group.add_argument(
        "--iter-size", type=common.of_a_step, metavar="N", help="batches whose gradients are added up for one step"
    )


def _add_pictures(group):
    """Options that decide which pictures a step sees, and what they count."""
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


def _add_records(group):
    """Options that decide what a run writes down. They do not change its weights."""
    group.add_argument(
        "--val-every",
        type=common.positive,
        metavar="N",
        help="score on the validation split after every N steps, by mean IU of the first head; best.npz keeps the best "
        "(default: only at the end)",
    )
    group.add_argument(
        "--snapshot-every",
        type=common.positive,
        metavar="N",
        help="also keep the checkpoint of every N-th step, as checkpoint-STEP.npz",
    )
    group.add_argument(
        "--keep", type=common.positive, metavar="K", help="of these, keep only the last K (default: all)"
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write loss, rate and scores for TensorBoard, into OUT/tensorboard (needs tensorboardX)",
    )
    group.add_argument(
        "--save-seconds",
        type=common.not_negative,
        default=60,
        metavar="S",
        help="seconds between two checkpoints (default 60); a signal also saves",
    )
    group.add_argument(
        "--out", type=common.folder, metavar="DIR", help="folder for the run (default runs/MODEL-DATASET)"
    )
