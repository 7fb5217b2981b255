"""`fcn evaluate`: score a trained network on a dataset."""

import argparse
import sys
import warnings
from contextlib import suppress

from fcn_from_scratch import viz, weights
from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.cli import common, memory_check, own_arguments, train_data
from fcn_from_scratch.cli.apart import Apart, files_of
from fcn_from_scratch.cli.predictions import Predictions
from fcn_from_scratch.lab import published
from fcn_from_scratch.training.evaluation import evaluate_heads, segment
from fcn_from_scratch.training.picture_losses import PictureLosses
from fcn_from_scratch.training.readable import Readable

HELP = "Score a trained network on a dataset: the paper's four metrics, and a line for each class."
EXAMPLE = """  fcn evaluate --weights runs/shapes/checkpoint.npz
  fcn evaluate --weights runs/camvid/checkpoint.npz --dataset camvid --root data/CamVid --out runs/camvid
  fcn evaluate --weights fcn8s.npz --model fcn8s --dataset voc --root data/VOC --split seg11valid"""

PICTURES = 4  # in the figure


def add_arguments(parser):
    parser.add_argument(
        "--weights", metavar="FILE", help="a checkpoint, .caffemodel, .pth, .npz or .safetensors (default: --out's)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="needed for plain weights; a checkpoint records its own",
    )
    common.add_preprocessing_argument(parser)
    common.add_data_arguments(parser)
    parser.add_argument("--split", help="train, val or test (default: that on which the run was scored, or val)")
    parser.add_argument(
        "--strict", action="store_true", help="stop at a picture that cannot be read (default: score the rest)"
    )
    parser.add_argument("--out", type=common.folder, metavar="DIR", help="folder for metrics.json and a figure")
    parser.add_argument(
        "--save-dir",
        type=common.folder,
        metavar="DIR",
        help="also write the class ids of every picture, as an index PNG with a palette",
    )
    common.add_run_arguments(parser)
    parser.set_defaults(seed=None)


def run(args):
    common.check_device(args.device)
    sbd = args.sbd
    if args.weights is None:
        if args.out is None:
            raise InputError("no network given: pass --weights FILE, or --out with the folder of a run")
        args.weights = f"{args.out}/{common.CHECKPOINT}"
    model, extra = common.load_model(args.weights, args.model, args.num_classes, args.preprocessing)
    _choose_data(args, extra)
    own_arguments.of_checkpoint(args, extra)
    common.require_sbd_used(sbd, args.split)
    args.seed = args.seed or 0
    dataset = common.build_dataset(args, args.split)
    if not args.strict:
        dataset = Readable(dataset)
    own_arguments.tell(dataset)
    common.check_classes(model, dataset, args.weights)
    own_arguments.require_same_classes(dataset, extra, args.weights)
    _check_modality(args, extra)
    fed = weights.feed(model, dataset)
    folder = None if args.out is None else common.output_folder(args.out)
    if folder is not None:
        apart = Apart([*files_of(dataset), args.weights], "choose another folder with --out")
        apart(folder / name for name in ("metrics.json", "predictions.png"))
    title = f"{model.name} on {args.dataset or 'shapes'}"
    common.for_pictures(model, len(dataset), args.device)
    losses = PictureLosses(dataset.ignore_index)
    predictions = None if args.save_dir is None else Predictions(args.save_dir, dataset.palette, files_of(dataset))
    matrices = _counted(model, dataset, args.device, losses, predictions)
    measured = _as_published(report(model, dataset, folder, args.device, title, matrices, losses))
    print("\n".join([fed, *([predictions.line()] if predictions else [])]))
    _warn_of_same_pictures(args, extra, dataset)
    beside = published.beside(measured, model.name, args.dataset, args.split, getattr(dataset, "modality", None))
    if beside:
        print(f"\n{beside}")
    return _tell_left_out(getattr(dataset, "left_out", []))


def _choose_data(args, extra):
    """Without --dataset, the data on which the run was scored that wrote the checkpoint."""
    of_run = extra.get("arguments", {})
    if args.dataset is None:
        moved = {} if args.root is None else {"root": args.root, "val_root": None}
        none = dict.fromkeys(("dataset", "root", "val_dataset", "val_root"))
        scored = vars(train_data.of_validation(argparse.Namespace(**(none | of_run | moved))))
        names = ("dataset", "root", "modality", "size", "count", "classes_by", "num_classes", "seed", "sbd")
        for name in names:
            if getattr(args, name, None) is None:
                setattr(args, name, scored.get(name))
        args.split = args.split or of_run.get("val_split")
    args.split = args.split or "val"
    if args.dataset == of_run.get("dataset") == "nyud":
        args.modality = args.modality or of_run.get("modality")


def _check_modality(args, extra):
    """Raises: InputError for a modality of nyud that the network was not trained on. Colour and HHA have 3 channels."""
    of_run = extra.get("arguments", {})
    trained, asked = (modality or "color" for modality in (of_run.get("modality"), args.modality))
    if args.dataset == of_run.get("dataset") == "nyud" and trained != asked:
        raise InputError(f"{args.weights} was trained on nyud's {trained}; --modality says {asked}")


def _warn_of_same_pictures(args, extra, dataset):
    """Warn if the network was trained on pictures that it was scored on. Data that is not there tells nothing."""
    trained_on = extra.get("arguments", {})
    split = trained_on.get("split", "train")
    if args.dataset != "folder" or trained_on.get("dataset") != "folder" or args.split == split:
        return
    settings = {name: trained_on.get(name) for name in ("root", "num_classes", *own_arguments.OPTIONS)}
    with suppress(InputError, OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = common.build_dataset(argparse.Namespace(**{**vars(args), **settings}), split)
        own_arguments.warn_of_same_pictures(known, dataset, (split, args.split))


def _tell_left_out(reasons):
    """Name the pictures that could not be read: the scores are without them. Returns: the exit status."""
    if reasons:
        number = f"{len(reasons)} file{'s' * (len(reasons) > 1)}"
        print(
            f"fcn: {number} could not be read; the scores are those of the rest: {printable('; '.join(reasons))}",
            file=sys.stderr,
        )
    return 1 if reasons else 0


def _as_published(matrices):
    """Scores by the paper's conventions: means over the classes that occur, and the geometric head's pixel accuracy.

    (On VOC all classes occur, so all conventions of mean IU agree.)
    """
    geometric = matrices.get("geometric")
    more = {} if geometric is None else {"geometric_accuracy": geometric.scores()["pixel_accuracy"]}
    return matrices["semantic"].scores("skip") | more


def _counted(model, dataset, device, losses, predictions):
    """The matrix of each head, name -> ConfusionMatrix. Every picture's loss is added, its prediction written."""

    def before(size, name):
        memory_check.require_memory(model, size, name, device)

    def each(name, found):
        losses(name, found)
        if predictions is not None:
            predictions(name, found)

    return evaluate_heads(model, dataset, device, progress=True, before=before, each=each)


def report(model, dataset, folder, device, title, matrices, losses):
    """Print the tables. With a folder, also write metrics.json and predictions.png there.

    matrices   name of the head -> ConfusionMatrix
    losses     training.picture_losses.PictureLosses of the same pictures
    Returns: the matrices.
    """
    (_, matrix), *others = matrices.items()
    print(matrix.table(dataset.classes))
    for name, other in others:
        print(f"\n{name} head: {name} accuracy is its pixel accuracy\n{other.table(dataset.heads[name])}")
    print("\n".join(["", *losses.lines()]))
    if folder is None:
        return matrices
    numbers = _numbers(matrix, dataset.classes) | {"pictures": len(dataset)} | losses.numbers()
    if others:
        numbers["heads"] = {name: _numbers(other, dataset.heads[name]) for name, other in others}
    common.write_json(folder / "metrics.json", numbers)
    figure(model, dataset, device, title, folder / "predictions.png")
    print(printable(f"wrote {folder / 'metrics.json'} and {folder / 'predictions.png'}"))
    return matrices


def _numbers(matrix, classes):
    """The metrics of a matrix for JSON: for all classes together, and for each class."""
    iu, accuracy, share = matrix.per_class()
    return {
        "scores": {name: _number(value) for name, value in matrix.scores().items()},
        "mean_iu_of_classes_present": _number(matrix.scores("skip")["mean_iu"]),
        "classes": {
            name: {"iu": _number(i), "accuracy": _number(a), "share": _number(s)}
            for name, i, a, s in zip(classes, iu, accuracy, share)
        },
    }


def figure(model, dataset, device, title, path):
    """Save a figure: input, truth, prediction and errors of a few pictures, spread over the dataset."""
    model.eval()
    count = min(PICTURES, len(dataset))
    rows = []
    for number in range(count):
        image, labels, _ = dataset[number * len(dataset) // count]
        predictions = segment(model, image, device)
        labels = labels.reshape(-1, *labels.shape[-2:])[0]  # of the first head
        rows.append([image[:, :, :3].astype("uint8"), labels, predictions, viz.error_map(labels, predictions)])
    titles = ["input", "truth", "prediction", "errors"]
    picture = viz.panels(rows, titles, title, classes=dataset.classes, palette=dataset.palette)
    viz.save_figure(picture, path)


def _number(value):
    """The value as a float, or None for NaN, which JSON cannot hold."""
    return None if value != value else float(value)
