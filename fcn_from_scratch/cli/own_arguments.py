"""The options of people's own pictures (docs/own_data.md): the same in train, evaluate, data, compare and doctor."""

from fcn_from_scratch.checks import InputError

OPTIONS = ("images", "labels", "classes", "label_map", "bands", "range")
_HELP = {
    "images": ("PATTERN", "which files are pictures, for --dataset folder: 'images/{}.jpg'"),
    "labels": ("PATTERN", "which files are their labels: 'masks/{}.png'"),
    "classes": ("FILE", "the classes: a file of names, a comma list, or voc, camvid, cityscapes, ade20k"),
    "label_map": ("V:C,...", "which class each value in the labels is: '0:0,255:1,rest:ignore'"),
    "bands": ("B,...", "which bands of the pictures are read: '0,1,2'"),
    "range": ("LOW:HIGH", "the values of the pictures that become black and white: '0:4095'"),
}


def add_own_arguments(parser):
    """Add --images, --labels, --classes, --label-map, --bands and --range."""
    group = parser.add_argument_group("your own pictures (docs/own_data.md)")
    for name, (metavar, help) in _HELP.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=help)


def own_options(args, name):
    """The options of this group that are given, name -> value.

    Raises: InputError where they are given for another dataset than folder.
    """
    given = {key: value for key in OPTIONS if (value := getattr(args, key, None)) is not None}
    if given and name != "folder":
        word = f"--{next(iter(given)).replace('_', '-')}"
        raise InputError(f"{word} is for your own pictures: say --dataset folder")
    return given


def tell(*datasets):
    """Print what datasets say about themselves, each sentence once."""
    notes = dict.fromkeys(note for dataset in datasets for note in getattr(dataset, "notes", ()))
    for note in notes:
        print(note)
