"""What the commands share: options, and building a dataset or a model from them."""

import json
from pathlib import Path

import numpy as np

from fcn_from_scratch import backend, checks, datasets, models, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli.own_arguments import add_own_arguments, own_options
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.files import reserve, write_atomically
from fcn_from_scratch.training import finite, meta, record

CHECKPOINT = record.CHECKPOINT  # its name in the folder of a run
MOST_DRAWN = 2_000_000  # pixels of a drawn picture; drawing takes some 100 bytes for each
MOST_ELONGATED = 32
PREPARED_FROM = 50  # pictures: the memory that a prepared network keeps costs the time that it saves on forty


def add_run_arguments(parser, seed="seed of all random numbers (default 0)"):
    """Add --seed, with this help, and --device."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=seed)
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu", help="where the arrays live (default cpu)")


def add_plain_argument(parser):
    """--plain, of the commands in which somebody may want to step through the code. FCN_PLAIN=1 asks for it too."""
    parser.add_argument(
        "--plain",
        action="store_true",
        default=backend.is_plain(),
        help="compute by the plain code of ops alone, as inside `with fcn_from_scratch.plain():`; slower",
    )


def add_data_arguments(parser):
    """Add the options that choose a dataset."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        choices=datasets.NAMES,
        default=None,
        help="kind of data (default shapes, drawn on the fly)",
    )
    add_root_argument(group, "folder with the data; every dataset but shapes needs it; for voc also: sample")
    group.add_argument("--num-classes", type=int, metavar="K", help="number of classes, for --dataset folder")
    group.add_argument("--modality", choices=datasets.nyud.MODALITIES, help="channels of nyud (default color)")
    add_sbd_argument(group)
    group.add_argument("--size", type=size, metavar="HxW", help="size of drawn shapes (default 96x96)")
    group.add_argument("--count", type=int, metavar="N", help="number of drawn shapes (train 2000, val 200)")
    group.add_argument(
        "--classes-by",
        choices=("shape", "colour"),
        help="what distinguishes the classes of drawn shapes (default shape)",
    )
    add_own_arguments(parser)


def add_root_argument(parser, help, name="--root"):
    """--root. The word "sample" is the drawn sample in VOC's layout, unless there is a folder of this name."""
    parser.add_argument(name, metavar="DIR", type=_root, help=help)


def add_sbd_argument(parser):
    """--sbd, for seg11valid: VOC 2011's val without the pictures that SBD trains on."""
    parser.add_argument(
        "--sbd", metavar="DIR", help="where SBD lies, for voc's split seg11valid (default: around root)"
    )


def _root(text):
    drawn = datasets.voc.SAMPLE
    return str(drawn) if text == "sample" and drawn.is_dir() and not Path(text).exists() else text


def folder(text):
    """argparse's type of a folder's name. Without one, results would lie in the current folder, or in a default one."""
    if not text:
        raise ValueError(text)
    return text


def size(text):
    """argparse's type of "240x320" or "240": a (height, width) pair."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(text)
    return int(parts[0]), int(parts[-1])


def require_root(name, root):
    """Raises: InputError if a dataset that is read from files has no --root.

    In Python a VOC without a root is the drawn sample. On the command line nobody should train on it unawares.
    """
    if name == "shapes" or root is not None:
        return
    hints = [f"`fcn data {name}` says how to get it"] if name in datasets.SOURCES else []
    if name == "voc" and datasets.voc.SAMPLE.is_dir():
        hints.append("--root sample reads the twelve drawn pictures that come with this project")
    told = f" ({'; '.join(hints)})" if hints else ""
    raise InputError(f"dataset {name} needs a root: pass --root DIR, the folder of its pictures and labels{told}")


def build_dataset(args, split):
    """The dataset that the arguments describe."""
    name = args.dataset or "shapes"
    own = own_options(args, name)
    drawn = {"size": args.size, "count": args.count, "classes_by": args.classes_by}
    given = {key: value for key, value in drawn.items() if value is not None}
    if name != "shapes":
        if given:
            word = "--" + next(iter(given)).replace("_", "-")
            raise InputError(f"{word} is for drawn shapes only; --dataset {name} is read from files")
        require_root(name, args.root)
        options = own | ({} if args.modality is None else {"modality": args.modality})
        options |= sbd_option(name, split, getattr(args, "sbd", None))
        dataset = datasets.build(name, args.root, split, args.num_classes, cache=split == "train", **options)
        if dataset.folder is not None:
            where = checks.printable(str(dataset.folder))
            print(f"{name} {split}: {len(dataset):,} picture{'s' * (len(dataset) != 1)} of {where}")
        return dataset
    if args.modality is not None:
        raise InputError(
            f"--modality is for --dataset nyud; shapes are drawn in colour, and --modality says {args.modality}"
        )
    sbd_option(name, split, getattr(args, "sbd", None))
    _require_drawable(given)
    options = {"size": (96, 96), "count": 2000 if split == "train" else 200, "seed": args.seed, **given}
    return datasets.build("shapes", args.root, split, args.num_classes, **options)


def _require_drawable(given):
    """Raises: InputError for drawn shapes that would take too much memory. A checkpoint may ask for any."""
    height, width = given.get("size", (1, 1))
    if height * width > MOST_DRAWN:
        raise InputError(f"drawn shapes have at most {MOST_DRAWN:,} pixels; --size says {height}x{width}")
    if max(height, width) > MOST_ELONGATED * min(height, width):  # it would hold thousands of things
        raise InputError(
            f"drawn shapes are at most {MOST_ELONGATED} times as long as wide; --size says {height}x{width}"
        )
    if given.get("count", 1) > meta.MOST_SHAPES:
        raise InputError(f"at most {meta.MOST_SHAPES:,} shapes are drawn; --count says {given['count']:,}")


def sbd_option(name, split, sbd):
    """--sbd as an option of the dataset. Raises: InputError for a dataset that has no use for it."""
    if sbd is None:
        return {}
    if name not in ("voc", "sbd"):
        raise InputError(f"--sbd is for --dataset voc with the split {datasets.voc.SEG11VALID}; dataset is {name}")
    return {"sbd": sbd} if (name, split) == ("voc", datasets.voc.SEG11VALID) else {}


def require_sbd_used(sbd, *splits):
    """Raises: InputError if --sbd was given, and none of the splits that are read has a use for it."""
    if sbd is not None and datasets.voc.SEG11VALID not in splits:
        read = " and ".join(dict.fromkeys(splits))
        raise InputError(f"--sbd is for the split {datasets.voc.SEG11VALID} of voc; this command reads {read}")


def check_device(device):
    """Raises: InputError if the device is not available."""
    try:
        backend.device_module(device)
    except ValueError as error:
        raise InputError(str(error)) from None


def add_preprocessing_argument(parser):
    """Add --preprocessing, for files that do not record it."""
    parser.add_argument(
        "--preprocessing",
        choices=weights.PREPROCESSING,
        help="what plain weights expect, if the file does not record it (see `fcn weights inspect FILE`)",
    )


def load_model(path, name=None, num_classes=None, preprocessing=None, classifier=False):
    """(model, extra): the trained network from a file, in eval mode, and the checkpoint's facts about its data.

    A checkpoint records its model and options. For a file of plain weights, `name` must give the model, unless the
    file's md5 is known or `fcn export` wrote it. Without num_classes, the size of score_fr gives the number of classes.
    `classifier` tells whether a classifier will do, too.
    """
    content = weights.read_file(path)
    is_checkpoint = "format" in content.meta and content.format == weights.formats.CHECKPOINT
    if is_checkpoint:
        told, extra = _of_checkpoint(content, path)
        if name not in (None, told["model"]):
            raise InputError(f"{path} holds a {told['model']}; --model says {name}")
        if preprocessing is not None and "transform" in extra:
            raise InputError(f"{path} records its own preprocessing: leave out --preprocessing")
        name, options = told["model"], dict(told["options"])
        if num_classes not in (None, options.get("num_classes")):
            raise InputError(
                f"{path} was trained for {options.get('num_classes')} classes; --num-classes says {num_classes}"
            )
        num_classes = options.pop("num_classes", None)
    else:
        extra = {key: content.meta[key] for key in ("classes", "palette") if key in content.meta}
        extra = {key: value for key, value in extra.items() if meta.EXTRA[key].holds(value)}
        options = weights.recorded_options(content, name) or weights.told_options(content)
        name = name or weights.told_model(content, path)
        if name is None:
            raise InputError(f"{path} does not say which network its weights belong to: pass --model")
        told_classes = options.pop("num_classes", None)
        num_classes = told_classes if num_classes is None else num_classes
        if num_classes is None:
            raise InputError(f"{path} holds no score_fr, whose size is the number of classes: pass --num-classes")
    meta.require_options_fit(options, content.arrays, path)
    try:
        model = build_model(name, num_classes, None, **options)
    except InputError as error:
        raise InputError(f"{path} is not a sound checkpoint: {error}" if is_checkpoint else str(error)) from None
    if "classifier" in model.name and not classifier:
        raise InputError(
            f"{path}: a {model.name} predicts one class for a picture; this command needs one for each pixel"
        )
    report = weights.fill(model, content, path, preprocessing=preprocessing)
    if report.missing:
        raise InputError(f"{path} lacks parameters of {model.name}: {checks.few(report.missing)}")
    finite.require(model.params, path)
    if not is_checkpoint:
        print(checks.printable("; ".join([f"{path}: {len(report.used)} parameters", *report.notes])))
    return model.eval(), extra


def _of_checkpoint(content, path):
    """(meta, extra) of a checkpoint. Raises: InputError when they are not as they are written."""
    wrong = meta.problem(content.meta)
    if wrong is None and content.meta["model"] is None:
        wrong = "its meta names no model"
    if wrong is not None:
        raise InputError(f"{path} is not a sound checkpoint: {wrong}")
    meta.require_options_fit(content.meta["options"], content.arrays, path)
    return content.meta, content.meta["extra"]


def for_pictures(model, count, device):
    """Get a network in eval mode ready to predict `count` pictures; returns it.

    From PREPARED_FROM pictures on, its weights are prepared.
    """
    return model.to(device).use(Workspace()).prepare(count >= PREPARED_FROM)


def build_model(name, num_classes, seed=0, /, **options):
    """models.build, whose errors become InputErrors."""
    try:
        return models.build(name, num_classes, seed=seed, **options)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None


def check_classes(model, dataset, path):
    """Raises: InputError if model and dataset differ in the number of classes or of channels."""
    if classes_of(model) != dataset.num_classes:
        raise InputError(f"{path} was trained for {classes_of(model)} classes; the dataset has {dataset.num_classes}")
    check_channels(model, dataset)


def classes_of(model):
    """The model's number of classes; with several heads, the first head's."""
    number = model.options["num_classes"]
    return number[0] if isinstance(number, (tuple, list)) else number


def check_channels(model, dataset):
    """Raises: InputError if model and dataset differ in the number of channels."""
    reads, has = weights.channels_of(model), dataset[0].image.shape[2]
    if reads != has:
        hint = f" (nyud: see --modality, {', '.join(datasets.nyud.MODALITIES)})"
        raise InputError(f"{model.name} reads pictures of {reads} channels, the dataset's have {has}{hint}")


def write_json(path, value):
    """Write indented JSON."""
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def palette_of(extra):
    """The colours of the classes that a checkpoint was trained on; VOC's where it records none."""
    palette = datasets.voc_palette().copy()
    saved = np.asarray(extra.get("palette", []), np.uint8).reshape(-1, 3)
    palette[: len(saved)] = saved
    return palette


def output_folder(path, option="--out"):
    """The folder of an option as a Path; it is created if it does not exist, and it can be written to."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{option} must be a folder; {path} is a file")
    path.mkdir(parents=True, exist_ok=True)
    reserve(path, 1)
    return path


def not_negative(text):
    """argparse's type of a number that is zero or more."""
    return checks.not_negative(float(text), "value")


def positive(text):
    """argparse's type of an integer of at least 1."""
    return checks.integer(int(text), "value", 1)


def of_a_step(text):
    """argparse's type of a number of pictures or batches that one step takes."""
    value = positive(text)
    if value > meta.MOST_OF_A_STEP:
        raise ValueError(text)
    return value
