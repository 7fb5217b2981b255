"""`fcn evaluate`: score a trained network on a dataset."""

from fcn_from_scratch import viz
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.training.evaluation import evaluate, segment

HELP = "Score a trained network: the paper's four metrics and a line a class, over the whole set."
EXAMPLE = """  fcn evaluate --weights runs/shapes/checkpoint.npz
  fcn evaluate --weights runs/camvid/checkpoint.npz --dataset camvid --root data/CamVid --out runs/camvid"""

PICTURES = 4  # shown in the figure


def add_arguments(parser):
    parser.add_argument(
        "--weights", metavar="FILE", help="a checkpoint, or an .npz of parameters (default: the checkpoint in --out)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="needed for plain .npz files; a checkpoint knows its own",
    )
    common.add_data_arguments(parser)
    parser.add_argument("--split", default="val", help="train, val or test (default val)")
    parser.add_argument("--out", metavar="DIR", help="folder for metrics.json and a figure")
    common.add_run_arguments(parser)
    parser.set_defaults(seed=None)


def run(args):
    common.check_device(args.device)
    if args.weights is None:
        if args.out is None:
            raise InputError("which network? Pass --weights FILE, or --out with the folder of a run")
        args.weights = f"{args.out}/{common.CHECKPOINT}"
    model, extra = common.load_model(args.weights, args.model, args.num_classes)
    trained_on = extra.get("arguments", {})
    if args.dataset is None:
        # What the checkpoint was trained on, unless the command says otherwise.
        for name in ("dataset", "root", "size", "count", "classes_by", "num_classes", "seed"):
            if getattr(args, name) is None:
                setattr(args, name, trained_on.get(name))
    args.seed = args.seed or 0
    dataset = common.build_dataset(args, args.split)
    common.check_classes(model, dataset, args.weights)
    folder = None if args.out is None else common.output_folder(args.out)
    report(model.to(args.device), dataset, folder, args.device, f"{model.name} on {args.dataset or 'shapes'}")
    return 0


def report(model, dataset, folder, device, title):
    """Print the table; with a folder, write metrics.json and predictions.png there too."""
    matrix = evaluate(model, dataset, device, progress=True)
    print(matrix.table(dataset.classes))
    if folder is None:
        return
    iu, accuracy, share = matrix.per_class()
    common.write_json(
        folder / "metrics.json",
        {
            "scores": {name: _number(value) for name, value in matrix.scores().items()},
            "classes": {
                name: {"iu": _number(i), "accuracy": _number(a), "share": _number(s)}
                for name, i, a, s in zip(dataset.classes, iu, accuracy, share)
            },
            "pictures": len(dataset),
        },
    )
    figure(model, dataset, device, title, folder / "predictions.png")
    print(f"wrote {folder / 'metrics.json'} and {folder / 'predictions.png'}")


def figure(model, dataset, device, title, path):
    """Input, truth, prediction and errors of a few pictures spread over the set."""
    model.eval()
    count = min(PICTURES, len(dataset))
    rows = []
    for number in range(count):
        image, labels, _ = dataset[number * len(dataset) // count]
        predictions = segment(model, image, device)
        rows.append([image[:, :, :3], labels, predictions, viz.error_map(labels, predictions)])
    titles = ["input", "truth", "prediction", "errors"]
    picture = viz.panels(rows, titles, title, classes=dataset.classes, palette=dataset.palette)
    viz.save_figure(picture, path)


def _number(value):
    """JSON has no NaN."""
    return None if value != value else float(value)
