"""`fcn doctor`: look for mistakes, and say what to do about them."""

import textwrap
from itertools import chain

from fcn_from_scratch import models, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, own_arguments
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.lab import doctor
from fcn_from_scratch.training import checkpoint

HELP = "Look for mistakes in this machine's setup, labels, weights and settings. Each finding comes with a remedy."
EXAMPLE = """  fcn doctor                                                          can this machine run the project?
  fcn doctor --dataset folder --root mydata                           can a network learn from these labels?
  fcn doctor --model fcn8s --weights fcn8s.npz photo.jpg              do weights, network and pictures fit?
  fcn doctor --model fcn8s --size 500x500 --lr 1e-4 --reduction sum   will it fit into memory, and train?
  fcn doctor --list                                                   all questions

The exit status is 1 if a finding is serious."""

MARKS = {"ok": "ok", "note": "note", "warning": "WARNING", "serious": "SERIOUS"}
WIDTH = 110


def add_arguments(parser):
    parser.add_argument("photos", nargs="*", metavar="IMAGE", help="pictures to run the network on")
    parser.add_argument("--list", action="store_true", help="print all questions and remedies, and stop")
    parser.add_argument("--model", metavar="NAME", help=", ".join(models.NAMES))
    parser.add_argument("--weights", metavar="FILE", help="weights in any format; a checkpoint records its model")
    common.add_preprocessing_argument(parser)
    common.add_data_arguments(parser)
    parser.add_argument("--split", default="train", help="split of the dataset (default train)")
    group = parser.add_argument_group("training settings")
    group.add_argument("--lr", type=float, metavar="X", help="learning rate")
    group.add_argument("--reduction", choices=("mean", "sum"), help="how the loss combines the pixels")
    group.add_argument("--batch-size", type=common.positive, metavar="N")
    common.add_run_arguments(parser)


def run(args):
    if args.list:
        print("\n".join(map(_in_words, doctor.CHECKS)))
        return 0
    case, findings = _admit(args)
    counts = dict.fromkeys(doctor.LEVELS, 0)
    for what, found in chain(findings, _examined(case, args)):  # each finding is printed as soon as it is known
        for finding in found:
            counts[finding.level] += 1
            _show(what, finding)
    told = [f"{counts[level]} {level}" for level in reversed(doctor.LEVELS) if counts[level]]
    print(f"\n{', '.join(told)}")
    return int(counts["serious"] > 0)


def _examined(case, args):
    """Yield (name of a check, its findings). The checks of the machine run only if nothing else is to be examined."""
    about_more = args.model or args.weights or args.dataset or args.photos or args.lr is not None
    for check, found in doctor.examine(case):
        if not about_more or check.look.__module__ != doctor.environment.__name__:
            yield check.name, found


def _admit(args):
    """(Case, findings about inputs that could not be opened)."""
    findings, dataset, model, report, told, extra = [], None, None, None, None, {}
    try:
        if args.dataset:
            common.require_sbd_used(args.sbd, args.split)
            dataset = common.build_dataset(args, args.split)
            own_arguments.tell(dataset)
    except InputError as error:
        remedy = doctor.labels.remedy(str(error)) or "`fcn data NAME` prints how a dataset must lie on disk"
        findings.append(("dataset", [doctor.Finding("serious", str(error), remedy)]))
    if args.weights:
        open_regular(args.weights).close()  # a missing file is a mistake of the user, not a finding
        try:
            model, report, told, extra = _open(args, dataset)
        except InputError as error:
            remedy = "`fcn weights inspect FILE` prints what is in it"
            findings.append(("weights", [doctor.Finding("serious", str(error), remedy)]))
    elif args.model:
        model = common.build_model(args.model, args.num_classes or (dataset.num_classes if dataset else 21), args.seed)
    if model is not None and "classifier" in model.name:
        raise InputError(f"a {model.name} predicts one class for a picture; fcn doctor needs one for each pixel")
    if model is not None:
        dataset = _fitting(model, dataset, findings)
        print(weights.feed(model, dataset))
    trained = extra.get("arguments", {})
    case = doctor.Case(
        model=model and model.eval(),
        weights=args.weights,
        report=report,
        told=told,
        dataset=dataset,
        image_paths=_photos(args, model, findings),
        lr=trained.get("lr") if args.lr is None else args.lr,
        reduction=args.reduction or trained.get("reduction"),
        batch_size=args.batch_size,
        size=None if args.dataset == "shapes" else args.size,
    )
    return case, findings


def _fitting(model, dataset, findings):
    """The dataset. None, and a finding, when its pictures have other channels than the network reads."""
    try:
        if dataset is not None:
            common.check_channels(model, dataset)
    except InputError as error:
        findings.append(("dataset", [doctor.Finding("serious", str(error))]))
        return None
    return dataset


def _photos(args, model, findings):
    """The pictures to run the network on. None, and a finding, for a network that reads more than a photo has."""
    reads = 3 if model is None else weights.channels_of(model)
    if reads == 3 or not args.photos:
        return args.photos
    told = f"{model.name} reads {reads} channels, and a photo has 3"
    remedy = "examine it on a data set: --dataset nyud, and --modality color-d or color-hha"
    findings.append(("images", [doctor.Finding("serious", told, remedy)]))
    return []


def _open(args, dataset):
    """(model, report, name of the model in the file, extra) of --weights. Some layers may be missing."""
    content = weights.read_file(args.weights)
    extra, told = {}, weights.told_model(content, args.weights)
    options = weights.recorded_options(content, args.model) or weights.told_options(content)
    if checkpoint.is_sound(content.meta):
        options, extra = dict(content.meta["options"]), content.meta["extra"]
    name = args.model or told
    if name is None:
        raise InputError(f"{args.weights} does not say which network its weights belong to: pass --model")
    classes = options.pop("num_classes", None)
    if args.num_classes or classes is None:
        classes = args.num_classes or (dataset.num_classes if dataset else 21)
    model = common.build_model(name, classes, None, **options)
    report = weights.fill(model, content, args.weights, preprocessing=args.preprocessing)
    return model, report, told, extra


def _in_words(check):
    text = f"{check.name}\n" + textwrap.fill(check.question, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if check.remedy:
        text += "\n" + textwrap.fill(f"-> {check.remedy}", WIDTH, initial_indent="  ", subsequent_indent="     ")
    return text


def _show(what, finding):
    mark = f"{MARKS[finding.level]:8}"
    print(textwrap.fill(f"{what}: {finding.text}", WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark)))
    if finding.remedy:
        print(textwrap.fill(f"-> {finding.remedy}", WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 11))
