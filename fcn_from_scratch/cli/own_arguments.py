"""The options of people's own pictures (docs/own_data.md): the same in train, evaluate, data, compare and doctor."""

from pathlib import Path

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.images import read_image
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.own.bands import parse_bands, parse_range, read_picture
from fcn_from_scratch.datasets.own.classes import find_class_file
from fcn_from_scratch.datasets.own.naming import require_same
from fcn_from_scratch.datasets.own.overlap import same_pictures
from fcn_from_scratch.datasets.own.patterns import Pattern

OPTIONS = ("images", "labels", "classes", "label_map", "bands", "range")
_HELP = {
    "images": ("PATTERN", "which files are pictures, for --dataset folder: 'images/{}.jpg'"),
    "labels": ("PATTERN", "which files are their labels: 'masks/{}.png'"),
    "classes": ("FILE", "the classes: a file, names with commas between them, or voc, camvid, cityscapes, ade20k"),
    "label_map": ("V:C,...", "which class each value in the labels is: '0:0,255:1,rest:ignore'"),
    "bands": ("B,...", "the bands of the pictures that are red, green and blue: '0,1,2'"),
    "range": ("LOW:HIGH", "the values of the pictures that become black and white: '0:4095'"),
}


def add_own_arguments(parser):
    """Add --images, --labels, --classes, --label-map, --bands and --range."""
    group = parser.add_argument_group("your own pictures (docs/own_data.md)")
    for name, (metavar, help) in _HELP.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=help)


def own_options(args, name):
    """The options of this group that are given, name -> value, and `names` of a checkpoint's classes.

    Raises: InputError where they are given for another dataset than folder.
    """
    given = {key: value for key in OPTIONS if (value := getattr(args, key, None)) is not None}
    if given and name != "folder":
        word = f"--{next(iter(given)).replace('_', '-')}"
        raise InputError(f"{word} is for your own pictures: say --dataset folder")
    names = getattr(args, "names", None)
    return given | ({"names": names} if names and name == "folder" else {})


def tell(*datasets, told=()):
    """Print what datasets say about themselves, each sentence once, and none of those in `told`. Returns: all of them.

    told  sentences that were printed before
    """
    notes = dict.fromkeys(note for dataset in datasets for note in getattr(dataset, "notes", ()))
    for note in notes:
        if note not in told:
            print(note)
    return {*notes, *told}


def keep(args, dataset):
    """Let the arguments, which a checkpoint keeps, name the patterns that were taken."""
    if args.dataset == "folder":
        args.images, args.labels = dataset.images, dataset.labels


def read_photo(path, settings):
    """Read a picture as a network has seen its training pictures.

    settings  the options of its training, name -> value; {} reads any photo
    """
    if settings.get("dataset") != "folder":
        return read_image(path)
    return read_picture(path, parse_bands(settings.get("bands")), parse_range(settings.get("range")))


def without_labels(paths, folders, settings):
    """The pictures among files, where the training's labels lay in the folder of their pictures: x.jpg, x_mask.png.

    folders  those that were typed as such; a file that was typed by its name is kept
    settings the options of the training, name -> value
    """
    if settings.get("dataset") != "folder" or not settings.get("labels") or not settings.get("images"):
        return paths
    images, labels = Pattern(settings["images"]), Pattern(settings["labels"], "--labels")
    if images.text.rpartition("/")[0] != labels.text.rpartition("/")[0]:
        return paths
    masks = [
        path for path in paths if str(Path(path).parent) in folders and labels.parts[-1].fullmatch(nfc(Path(path).name))
    ]
    if masks:
        print(f"left out, since they are labels: {few([Path(path).name for path in masks])}")
    return [path for path in paths if path not in masks]


def absolute(args):
    """--classes as a checkpoint keeps it: a file of the working folder with its whole path."""
    classes = getattr(args, "classes", None)
    if classes is None or Path(args.root or ".", classes).is_file() or not Path(classes).is_file():
        return classes
    return str(Path(classes).absolute())


def of_checkpoint(args, extra):
    """Take those options that are not given from the run that wrote a checkpoint. `extra` is what it keeps."""
    trained_on = extra.get("arguments", {})
    if args.dataset == "folder" in (trained_on.get("dataset"), trained_on.get("val_dataset")):
        typed = args.classes
        for name in OPTIONS:
            if getattr(args, name) is None:
                setattr(args, name, trained_on.get(name))
        if typed is None:
            args.classes = classes_elsewhere(args.root, trained_on)
        args.names = extra.get("classes")


def classes_elsewhere(root, trained_on):
    """--classes of a run for data in another folder, which may have the file too, or another one, or none.

    trained_on  the settings of the run
    """
    classes, before = trained_on.get("classes"), trained_on.get("root")
    if classes is None or root is None or before is None or Path(root, classes).is_file():
        return classes
    file = Path(before, classes)
    if not file.is_file():
        return classes
    return None if find_class_file([root]) else str(file)


def require_same_classes(dataset, extra, path):
    """Raises: InputError where the classes of a dataset have other names than those of a checkpoint."""
    if extra.get("classes"):
        require_same(extra["classes"], dataset.classes, f"{path} was trained on other classes than the dataset has")


def warn_of_same_pictures(first, second, words=("train", "val")):
    """Print a warning where two splits of people's own pictures have pictures in common."""
    if told := same_pictures(first, second, words):
        print(f"warning: {told}")
