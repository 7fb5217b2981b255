"""`fcn compare`: quality and cost of all ways to a dense prediction, on one trunk."""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import datasets, geometry, viz
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, own_arguments
from fcn_from_scratch.lab.compare import METHODS, Nets, Settings, footnotes, predictor, provenance, report, tuning
from fcn_from_scratch.lab.compare.figure import EXAMPLES, examples, slides
from fcn_from_scratch.lab.compare.measuring import costs, doubts, load, predict
from fcn_from_scratch.lab.compare.methods import ALIASES
from fcn_from_scratch.lab.compare.scoring import score
from fcn_from_scratch.lab.compare.summary import summarize
from fcn_from_scratch.lab.compare.training_plan import NETWORKS, chain, fingerprint
from fcn_from_scratch.lab.compare.trunk_file import read_trunk

HELP = "Compare the ways to a dense prediction: shift-and-stitch, dilated filters, upsampling, skips, unpooling."
EXAMPLE = """  fcn compare                                          drawn shapes, nothing to download
  fcn compare --seeds 3                                means over three seeds, with error bars
  fcn compare --methods 32s,stitch,rarefy,8s --stride 4
  fcn compare --dataset camvid --root data/CamVid --out runs/compare-camvid --tune
  fcn compare --dataset camvid --root data/CamVid --out runs/compare-camvid
  fcn compare --image photo.jpg                        predictions and costs, without scores"""

# The defaults for drawn shapes and for pictures from files.
DRAWN = {"steps": 480, "count": 40, "width": 12, "crop": None}
FILES = {"steps": 400, "count": 20, "width": 16, "crop": (192, 256)}
TRAINING_SCENES, SCENE = 600, (128, 128)
BATCH = 4
TUNED = "480 steps, seeds 11 and 12"  # how the rates of the training plan were found
FC6_KERNEL = 2  # then the cells of the coarse map lie on the corners of the image's 32x32 blocks


def add_arguments(parser):
    parser.add_argument(
        "--methods", type=_methods, default=list(METHODS), metavar="A,B,...", help=f"default all: {', '.join(METHODS)}"
    )
    _add_data_arguments(parser.add_argument_group("data"))
    own_arguments.add_own_arguments(parser)
    _add_network_arguments(parser.add_argument_group("networks"))
    parser.add_argument(
        "--out",
        type=common.folder,
        default="runs/compare",
        metavar="DIR",
        help="folder for the results (default runs/compare)",
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
    common.add_root_argument(group, "folder of the data; not for shapes; for voc also: sample")
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
    before = load()  # nothing of ours has run yet
    common.check_device(args.device)
    given = {name: value for name, value in vars(args).items() if name != "run"}
    for name, value in (DRAWN if args.dataset == "shapes" else FILES).items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.tune:
        return _tune(args)
    photo = _photo(args)
    folder = common.output_folder(args.out)
    results = _compared(args, photo, Path(args.cache or folder / "cache"), before)
    _print(args, results)
    stem = folder / ("comparison" if photo is None else f"{Path(args.image).stem}_comparison")
    print(f"wrote {stem}.csv, .json and {', '.join(_write(stem, args, given, results))}")
    return 0


class Results(NamedTuple):
    """What `fcn compare` has found.

    first     the Trial of the first seed
    by_seed   a list with the scores of each seed: method -> qualities; empty for a photo
    rows      of the table
    notes     sentences below the table
    warnings  sentences about doubtful times
    load      the load average before and after
    """

    first: "Trial"
    by_seed: list
    rows: list
    notes: list
    warnings: list
    load: dict


def _compared(args, photo, cache, before):
    first, by_seed, lowered = _trials(args, photo, cache)
    x = to_device(first.transform(first.pictures[0].image)[None], args.device)
    found, after = costs(first.predictors, x, args.device), load()
    notes = footnotes.sentences(first.nets, {METHODS[name].way for name in args.methods}, args.stride, x)
    return Results(
        first,
        by_seed,
        summarize(METHODS, by_seed, found, first.nets.settings),
        _knowledge(args, first.train) + notes + lowered,
        doubts(found, before, after),
        {"before": before, "after": after},
    )


def _print(args, results):
    tables = [report.text(results.rows), report.seeds_text(results.by_seed, _seeds(args))]
    parts = [_subtitle(args, results.first.pictures), *filter(None, tables), report.LEGEND]
    print("", "\n\n".join(parts), "", *results.notes, *results.warnings, sep="\n")


def _write(stem, args, given, results):
    """Write CSV, JSON and slides; returns the names of the slides. `given` are the arguments as they were typed."""
    settings, seeds = results.first.nets.settings, list(_seeds(args))
    about = {
        **provenance.about("compare", given, _defaults(), args.steps, seeds, results.first.rates_from),
        "arguments": {name: value for name, value in vars(args).items() if name != "run"},
        "settings": settings._asdict(),
        "rates": {name: settings.stage(name).lr for name in _stages(args.methods)} | results.first.nets.lowered,
        "notes": results.notes,
        "warnings": results.warnings,
        "load_average": results.load,
    }
    report.write_csv(stem.with_name(f"{stem.name}.csv"), results.rows)
    report.write_json(stem.with_name(f"{stem.name}.json"), results.rows, results.by_seed, seeds, about)
    subtitle = "\n".join([_subtitle(args, results.first.pictures), *_knowledge(args, results.first.train)])
    return _draw(stem, args, results, subtitle, provenance.foot(about))


class Trial(NamedTuple):
    """What is compared with one seed.

    nets        lab.compare.Nets
    predictors  name of a method -> predictor
    train       the training pictures
    pictures    list of Samples to score on, or the photo
    truth       the dataset of their labels; None for a photo
    transform   the preprocessing of the networks
    rates_from  where the learning rates come from, in words
    """

    nets: Nets
    predictors: dict
    train: datasets.base.Dataset
    pictures: list
    truth: datasets.base.Dataset | None
    transform: datasets.Preprocess
    rates_from: str


def _trials(args, photo, cache):
    """The Trial of the first seed; all seeds' scores: method -> qualities, none for a photo; what was trained lower."""
    first, by_seed, lowered = None, [], []
    for seed in _seeds(args):
        trial = _trial(args, seed, photo, cache)
        if photo is None:
            by_seed.append(score(trial.predictors, trial.pictures, trial.transform, trial.truth, args.device))
        lowered += footnotes.lowered(trial.nets)
        first = first or trial
    return first, by_seed, lowered


def _trial(args, seed, photo, cache):
    train = _dataset(args, "train", seed)
    val = _dataset(args, "val", seed, train.classes)
    nets = _nets(args, train, cache, seed)
    record = tuning.read_record(tuning.record_path(cache, nets.settings, _identity(args, train)))
    if record is not None:
        nets = _nets(args, train, cache, seed, record.for_steps(args.steps))
    rates_from = _rates_from(args, record)
    if seed == args.seed:
        _say(f"learning rates: {rates_from}\nnetworks, kept in {cache}:")
    predictors = {name: predictor(METHODS[name], nets, args.stride) for name in args.methods}
    transform = nets[METHODS[args.methods[0]].stage].transform
    if seed == args.seed:
        _say(nets.input)
    pictures = _spread(val, args.count) if photo is None else [photo]
    return Trial(nets, predictors, train, pictures, val if photo is None else None, transform, rates_from)


def _rates_from(args, record):
    """Where the learning rates come from, in words."""
    if record is not None:
        missing = [name for name in _stages(args.methods) if name not in record.rates]
        rest = f"; those of {', '.join(missing)} on drawn scenes" if missing else ""
        lowered = [
            f"{name} {lr:g} instead of {record.rates[name]:g}"
            for name, lr in record.for_steps(args.steps).items()
            if lr != record.rates[name] and name in _stages(args.methods)
        ]
        if lowered:
            rest += f"; since twice the best rate diverged and training is longer here, {', '.join(lowered)}"
        return (
            f"tuned on held-out training pictures ({record.steps} steps, "
            f"{'seeds' if len(record.seeds) > 1 else 'seed'} {_words(record.seeds)}){rest}"
        )
    tuned = f"tuned on drawn scenes ({TUNED})"
    return tuned if args.dataset == "shapes" else f"{tuned}, not on {args.dataset}; --tune does that"


def _draw(stem, args, results, subtitle, foot):
    """Write the slides; returns the names of the files."""
    trial, samples = results.first, results.first.pictures
    if trial.truth is not None:  # the pictures with most variety: their most frequent class covers least
        samples = sorted(samples, key=lambda sample: np.unique(sample.labels, return_counts=True)[1].max())[:EXAMPLES]
    inputs = [to_device(trial.transform(sample.image)[None], args.device) for sample in samples]
    outputs = [{name: predict(one, x) for name, one in trial.predictors.items()} for x in inputs]
    pages = {"": slides(results.rows, samples[0], outputs[0], trial.train, subtitle, foot)}
    if len(samples) > 1:
        pages["-examples"] = examples(samples, outputs, trial.train, subtitle, foot)
    names = []
    for kind, figures in pages.items():
        for number, figure in enumerate(figures, start=1):
            names.append(f"{stem.name}{kind}{'' if number == 1 else f'-{number}'}.png")
            viz.save_figure(figure, stem.with_name(names[-1]))
    return names


def _seeds(args):
    return range(args.seed, args.seed + args.seeds)


def _stages(methods):
    """The names of the stages that the methods need, without the trunk, in the order of training."""
    return list(dict.fromkeys(stage.name for name in methods for stage in chain(METHODS[name].stage)))


def _defaults():
    """The options of this command with their defaults."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return vars(parser.parse_args([]))


def _photo(args):
    """The picture of --image as a Sample without labels; None without --image."""
    if args.image is None:
        return None
    if args.seeds > 1:
        raise InputError("--image takes one seed: a picture without labels has no scores whose spread could be shown")
    return datasets.Sample(own_arguments.read_photo(args.image, vars(args)), None, args.image)


def _knowledge(args, train):
    """A list with a sentence about what the networks know, for a photo; empty for pictures of the dataset."""
    if args.image is None:
        return []
    classes = [name for name in train.classes if name != "background"]
    if args.dataset == "shapes":
        return [f"These networks have learned only drawn shapes in {len(classes)} colours. They know nothing else."]
    few = ", ".join(classes[:12]) + (" ..." if len(classes) > 12 else "")
    return [f"These networks have learned only the classes of {args.dataset}: {few}."]


def _methods(text):
    """argparse's type of --methods: names with commas between them."""
    names = [ALIASES.get(name.strip(), name.strip()) for name in text.split(",")]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no method {unknown[0]!r}; the methods are {', '.join(METHODS)}")
    return list(dict.fromkeys(names))


def _tune(args):
    """Run the grid, print its table, and keep the winners in the cache."""
    if args.image is not None:
        raise InputError("--tune scores on labelled pictures; leave out --image")
    cache = Path(args.cache or common.output_folder(args.out) / "cache")
    seeds = _seeds(args)
    trains = {seed: _dataset(args, "train", seed) for seed in seeds}
    parts = {seed: tuning.divided(train) for seed, train in trains.items()}

    def nets_of(seed, rates):
        return _nets(args, parts[seed][0], cache / "tuning", seed, rates, say=_only_trouble, halvings=0)

    nets = _nets(args, trains[args.seed], cache, args.seed)
    _say(nets.input)
    settings = nets.settings
    path = tuning.record_path(cache, settings, _identity(args, trains[args.seed]))
    _say(f"mean IU on training pictures that are held out, {args.steps} steps, seeds {_words(seeds)}:")
    scores_path = path.with_name(f"{path.stem}-scores.json")
    grid = tuning.Tuning(nets_of, lambda seed: parts[seed][1], seeds, scores_path, say=_say)
    record = tuning.Record(grid.run(_stages(args.methods)), grid.rates, args.steps, list(seeds))
    record = record.beside(tuning.read_record(path))
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


def _dataset(args, split, seed, names=None):
    """The data of a split. `names` are the classes' names of the training split."""
    options = own_arguments.own_options(args, args.dataset)
    if args.dataset == "folder":
        options["names"] = names
    if args.dataset == "shapes":
        number = TRAINING_SCENES if split == "train" else args.count
        options = {"size": args.size or SCENE, "count": number, "seed": seed, "classes_by": "colour"}
        return datasets.InMemory(datasets.build("shapes", args.root, split, args.num_classes, **options))
    if args.size is not None:
        raise InputError(f"--size is for drawn shapes only; --dataset {args.dataset} is read from files")
    common.require_root(args.dataset, args.root)
    dataset = datasets.build(args.dataset, args.root, split, args.num_classes, cache=split == "train", **options)
    if seed == args.seed:
        own_arguments.tell(dataset)
    image, labels, _ = dataset[0]
    if image.shape[2] != 3 or labels.ndim != 2:
        raise InputError(f"fcn compare needs RGB pictures with one label map; --dataset {args.dataset} has others")
    return dataset


def _spread(dataset, count):
    """`count` samples, spread evenly over the dataset."""
    number = min(count, len(dataset))
    return [dataset[place * len(dataset) // number] for place in range(number)]


def _nets(args, train, cache, seed, rates=None, **options):
    """Nets for one seed. `options` are further ones of Nets."""
    trunk = None if args.weights is None else _trunk(args)
    if trunk is None and args.network != "mini":
        raise InputError(f"fcn compare cannot train a trunk of --network {args.network}: pass one with --weights")
    settings = Settings(
        args.network if trunk is None else trunk.family,
        {"width": args.width, "fc6_kernel": FC6_KERNEL} if trunk is None else trunk.options,
        train.num_classes,
        args.steps,
        BATCH,
        None if args.crop is None else tuple(map(min, args.crop, train[0].labels.shape)),
        seed,
        fingerprint(train),
        None if trunk is None else trunk.digest,
        rates,
    )
    nets = Nets(settings, train, cache, trunk, args.device, **{"say": _say, **options})
    coarsest = geometry.receptive_field(nets.fresh("32s")).stride
    if coarsest % args.stride:
        raise InputError(f"--stride must divide the network's output stride, {coarsest}; got {args.stride}")
    return nets


def _trunk(args):
    """The trunk of --weights."""
    options = {"width": args.width, "fc6_kernel": FC6_KERNEL} if args.network == "mini" else {}
    return read_trunk(args.weights, args.network, options)


def _subtitle(args, pictures):
    """One line about what was compared."""
    sizes = sorted({f"{picture.image.shape[0]}x{picture.image.shape[1]}" for picture in pictures})
    what = Path(args.image).name if args.image else f"{len(pictures)} pictures of {args.dataset}"
    seeds = list(_seeds(args))
    return (
        f"{what}, {sizes[0]} pixels{' and other sizes' if len(sizes) > 1 else ''}; every network trained for "
        f"{args.steps} steps after the trunk, {'seeds' if len(seeds) > 1 else 'seed'} {_words(seeds)}"
    )
