"""`fcn compare`: quality and cost of all ways to a dense prediction, on one trunk."""

import argparse
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, geometry, viz
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common
from fcn_from_scratch.lab.compare import METHODS, Nets, Settings, footnotes, measure, predictor, report, tuning
from fcn_from_scratch.lab.compare.figure import slide
from fcn_from_scratch.lab.compare.measuring import predict
from fcn_from_scratch.lab.compare.methods import ALIASES
from fcn_from_scratch.lab.compare.training_plan import NETWORKS, chain, fingerprint
from fcn_from_scratch.lab.compare.trunk_file import read_trunk

HELP = "Compare the ways to a dense prediction: shift-and-stitch, rarefied filters, upsampling, skips, unpooling."
EXAMPLE = """  fcn compare                                          drawn shapes, nothing to download
  fcn compare --methods 32s,stitch,rarefy,8s --stride 4
  fcn compare --dataset camvid --root data/CamVid --out runs/compare-camvid
  fcn compare --image photo.jpg                        predictions and costs, without scores"""

# The defaults for drawn shapes and for pictures from files.
DRAWN = {"steps": 480, "count": 40, "width": 12, "crop": None}
FILES = {"steps": 400, "count": 20, "width": 16, "crop": (192, 256)}
TRAINING_SCENES, SCENE = 600, (128, 128)
BATCH = 4
FC6_KERNEL = 2  # then the cells of the coarse map lie on the corners of the image's 32x32 blocks


def add_arguments(parser):
    parser.add_argument(
        "--methods", type=_methods, default=list(METHODS), metavar="A,B,...", help=f"default all: {', '.join(METHODS)}"
    )
    _add_data_arguments(parser.add_argument_group("data"))
    _add_network_arguments(parser.add_argument_group("networks"))
    parser.add_argument(
        "--out", default="runs/compare", metavar="DIR", help="folder for the results (default runs/compare)"
    )
    parser.add_argument("--cache", metavar="DIR", help="where trained networks are kept (default OUT/cache)")
    common.add_run_arguments(parser)
    parser.add_argument(
        "--seeds",
        type=common.positive,
        default=1,
        metavar="N",
        help="repeat with the seeds SEED to SEED+N-1: means, spreads and error bars (default 1)",
    )


def _add_data_arguments(group):
    group.add_argument("--dataset", choices=datasets.NAMES, default="shapes", help="default shapes, which are drawn")
    group.add_argument("--root", metavar="DIR", help="folder of the data; not for shapes")
    group.add_argument(
        "--num-classes", type=common.positive, metavar="K", help="number of classes, for --dataset folder"
    )
    group.add_argument("--size", type=common.size, metavar="HxW", help="size of drawn shapes (default 128x128)")
    group.add_argument(
        "--count", type=common.positive, metavar="N", help="number of pictures to score on (default 40; files 20)"
    )
    group.add_argument(
        "--image", metavar="PHOTO", help="predict this picture instead; without labels there are no scores"
    )


def _add_network_arguments(group):
    group.add_argument(
        "--steps",
        type=common.positive,
        metavar="N",
        help="training steps of each network, after the trunk (default 480; files 400)",
    )
    group.add_argument(
        "--tune",
        action="store_true",
        help="only find the best learning rate of every network, on training pictures that are held out; "
        "later comparisons with this cache use the rates",
    )
    group.add_argument(
        "--stride",
        type=common.positive,
        default=8,
        metavar="S",
        help="output stride of shift-and-stitch and rarefaction (default 8, as FCN-8s; 1 is every pixel)",
    )
    group.add_argument(
        "--width", type=common.positive, metavar="N", help="channels of the first stage (default 12; files 16)"
    )
    group.add_argument("--weights", metavar="FILE", help="read the trunk from this file instead of training it")
    group.add_argument(
        "--network", choices=tuple(NETWORKS), default="mini", help="network that plain weights belong to (default mini)"
    )


def run(args):
    common.check_device(args.device)
    photo = None if args.image is None else datasets.Sample(datasets.read_image(args.image), None, args.image)
    defaults = DRAWN if args.dataset == "shapes" else FILES
    for name in ("steps", "count", "width"):
        if getattr(args, name) is None:
            setattr(args, name, defaults[name])
    if args.tune:
        return _tune(args, defaults["crop"])
    train, val = (_dataset(args, split, args.seed) for split in ("train", "val"))
    folder = common.output_folder(args.out)
    nets = _nets(args, train, defaults["crop"], Path(args.cache or folder / "cache"))
    print(f"networks, kept in {nets.cache}:", flush=True)
    predictors = {name: predictor(METHODS[name], nets, args.stride) for name in args.methods}
    pictures = _spread(val, args.count) if photo is None else [photo]
    truth = val if photo is None else None
    transform = nets[METHODS[args.methods[0]].stage].transform
    rows = measure(METHODS, predictors, pictures, transform, nets.settings, truth, args.device)
    x = to_device(transform(pictures[0].image)[None], args.device)
    notes = footnotes.sentences(nets, {METHODS[name].way for name in args.methods}, args.stride, x)
    subtitle = _subtitle(args, pictures, nets.settings)
    print("\n".join(["", subtitle, "", report.text(rows), "", report.LEGEND, "", *notes]))

    # show the picture with most variety: its most frequent class covers least
    shown = photo or min(pictures, key=lambda picture: np.bincount(picture.labels.ravel()).max())
    x = to_device(transform(shown.image)[None], args.device)
    outputs = {name: predict(one, x) for name, one in predictors.items()}
    figure = slide(rows, shown, outputs, train, subtitle)
    stem = folder / ("comparison" if photo is None else f"{Path(args.image).stem}_comparison")
    about = {
        "arguments": {name: value for name, value in vars(args).items() if name != "run"},
        "settings": nets.settings._asdict(),
        "notes": notes,
    }
    report.write_csv(stem.with_name(f"{stem.name}.csv"), rows)
    report.write_json(stem.with_name(f"{stem.name}.json"), rows, about)
    viz.save_figure(figure, stem.with_name(f"{stem.name}.png"))
    print(f"wrote {stem}.csv, .json and .png")
    return 0


def _methods(text):
    """argparse's type of --methods: names with commas between them."""
    names = [ALIASES.get(name.strip(), name.strip()) for name in text.split(",")]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no method {unknown[0]!r}; the methods are {', '.join(METHODS)}")
    return list(dict.fromkeys(names))


def _tune(args, crop):
    """Run the grid, print its table, and keep the winners in the cache."""
    cache = Path(args.cache or common.output_folder(args.out) / "cache")
    seeds = range(args.seed, args.seed + args.seeds)
    trains = {seed: _dataset(args, "train", seed) for seed in seeds}
    parts = {seed: tuning.divided(train) for seed, train in trains.items()}

    def nets_of(seed, rates):
        return _nets(args, parts[seed][0], crop, cache / "tuning", seed, rates, say=_only_trouble)

    settings = _nets(args, trains[args.seed], crop, cache).settings
    path = tuning.record_path(cache, settings, _identity(args, trains[args.seed]))
    wanted = {stage.name for name in args.methods for stage in chain(METHODS[name].stage)}
    print(f"mean IU on training pictures that are held out, {args.steps} steps, seeds {_words(seeds)}:", flush=True)
    scores_path = path.with_name(f"{path.stem}-scores.json")
    grid = tuning.Tuning(nets_of, lambda seed: parts[seed][1], seeds, scores_path, say=_say)
    record = tuning.Record(grid.run(wanted), grid.rates, args.steps, list(seeds))
    tuning.write_record(path, record)
    print("\n".join(["", tuning.text(record), "", f"wrote {path}"]))
    return 0


def _say(text):
    print(text, flush=True)


def _only_trouble(text):
    """The messages of Nets about files that cannot be used."""
    if "trained again" in text:
        _say(text)


def _words(numbers):
    return ", ".join(map(str, numbers))


def _identity(args, train):
    """What identifies the training data whatever the seed, in a form for JSON."""
    if args.dataset == "shapes":
        return {"drawn": list(args.size or SCENE), "pictures": len(train), "classes": list(train.classes)}
    return fingerprint(train)


def _dataset(args, split, seed):
    if args.dataset == "shapes":
        number = TRAINING_SCENES if split == "train" else args.count
        options = {"size": args.size or SCENE, "count": number, "seed": seed, "classes_by": "colour"}
        return datasets.InMemory(datasets.build("shapes", args.root, split, args.num_classes, **options))
    if args.size is not None:
        raise InputError(f"--size is for drawn shapes only; --dataset {args.dataset} is read from files")
    dataset = datasets.build(args.dataset, args.root, split, args.num_classes, cache=split == "train")
    image, labels, _ = dataset[0]
    if image.shape[2] != 3 or labels.ndim != 2:
        raise InputError(f"fcn compare needs RGB pictures with one label map; --dataset {args.dataset} has others")
    return dataset


def _spread(dataset, count):
    """`count` samples, spread evenly over the dataset."""
    number = min(count, len(dataset))
    return [dataset[place * len(dataset) // number] for place in range(number)]


def _nets(args, train, crop, cache, seed=None, rates=None, say=_say):
    family, options, trunk = args.network, {"width": args.width, "fc6_kernel": FC6_KERNEL}, None
    if args.weights is not None:
        trunk = read_trunk(args.weights, family, options if family == "mini" else {})
        family, options = trunk.family, trunk.options
    elif family != "mini":
        raise InputError(f"fcn compare cannot train a trunk of --network {family}: pass one with --weights")
    settings = Settings(
        family,
        options,
        train.num_classes,
        args.steps,
        BATCH,
        None if crop is None else tuple(map(min, crop, train[0].labels.shape)),
        args.seed if seed is None else seed,
        fingerprint(train),
        None if trunk is None else trunk.digest,
        rates,
    )
    nets = Nets(settings, train, cache, trunk, args.device, say=say)
    coarsest = geometry.receptive_field(nets.fresh("32s")).stride
    if coarsest % args.stride:
        raise InputError(f"--stride must divide the network's output stride, {coarsest}; got {args.stride}")
    return nets


def _subtitle(args, pictures, settings):
    """One line about what was compared."""
    sizes = sorted({f"{picture.image.shape[0]}x{picture.image.shape[1]}" for picture in pictures})
    what = Path(args.image).name if args.image else f"{len(pictures)} pictures of {args.dataset}"
    return (
        f"{what}, {sizes[0]} pixels{' and other sizes' if len(sizes) > 1 else ''}; every network trained for "
        f"{settings.steps} steps after the trunk, seed {settings.seed}"
    )
