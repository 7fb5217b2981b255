"""Known layouts: which patterns are taken where nobody types any."""

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.own import pairs, told
from fcn_from_scratch.datasets.own.label_files import endings
from fcn_from_scratch.datasets.own.patterns import Pattern
from fcn_from_scratch.datasets.own.scan import Tree

USUAL = ("images", "labels")
PICTURES = ("images", "imgs", "image", "img")
LOOKED_INTO = 20  # folders below the root, for a hint
LABELS = ("labels", "masks", "annotations", "label", "mask")


def _known():
    """(pattern of the pictures, pattern of the labels) of every known layout."""
    for labels in LABELS:
        for pictures in PICTURES:
            for place in ("{}/", "{}/{{split}}/", "{{split}}/{}/"):
                for ending in ("{}.*", "{}_mask.*"):
                    yield f"{place.format(pictures)}{{}}.*", place.format(labels) + ending
    for labels in ("SegmentationClass", "SegmentationClassPNG"):
        yield "JPEGImages/{}.*", f"{labels}/{{}}.*"
    for ending in ("{}.*", "{}_mask.*"):
        yield "{split}/{}.*", f"{{split}}_masks/{ending}"
    for kind in ("labelIds", "labelTrainIds"):
        pictures, labels = (f"{place}/{{split}}/{{city}}/{{}}_" for place in ("leftImg8bit", "gtFine"))
        yield f"{pictures}leftImg8bit.png", f"{labels}gtFine_{kind}.png"
    yield "images/{}.*", "annotations/trimaps/{}.*"
    yield "{split}/{}.*", "{split}annot/{}.*"
    yield "{split}/{}.*", "{split}/{}_mask.*"
    yield "{split}/{}.*", "{split}/_annotations.coco.json"
    yield "{}.*", "{}_mask.*"
    yield "{}.*", "{}.json"


def find(tree):
    """(pattern of the pictures, pattern of the labels), as text, of the known layout that fits.

    Raises: InputError where none fits, with what is there, and where two fit, by name.
    """
    fitting = [pair for pair in _known() if _fits(tree, *pair)]
    if len(fitting) > 1:
        both = " and ".join(f"--images '{images}' --labels '{labels}'" for images, labels in fitting[:2])
        raise InputError(f"{tree.root} fits more than one layout: type the one that is meant, {both}")
    images, labels = fitting[0] if fitting else _usual(tree)
    return images, _pictures_alone(tree, labels)


def _pictures_alone(tree, labels):
    """The pattern of the labels. Where other label files lie beside the pictures, it names the pictures' extension."""
    if not labels.endswith(".*"):
        return labels
    there = {file.path.suffix.lower() for file in tree.iterate(Pattern(labels))} & endings()
    pictures = there & extensions()
    return labels[:-2] + pictures.pop() if len(pictures) == 1 < len(there) else labels


def _usual(tree):
    """images/ and labels/, where nothing fits: the message about their pairs is the best one.

    Raises: InputError for a folder that is missing or without pictures.
    """
    if not any(tree.inside(tree.root, name) for name in USUAL):
        raise InputError(
            "folder data is images/* and labels/* with the same stems, another known layout, or what --images and "
            f"--labels say; there is no folder {tree.root / USUAL[0]}; {told.content(tree, tree.root)}{_below(tree)}"
        )
    for name in USUAL:
        folder = tree.inside(tree.root, name)
        if folder is None or not folder.is_dir():
            raise InputError(
                f"folder data is images/* and labels/* with the same stems: there is no folder {tree.root / name}; "
                f"{told.content(tree, tree.root)}"
            )
        if not tree.find(Pattern(f"{name}/{{}}.*")):
            raise InputError(f"there are no pictures in {folder}; {told.content(tree, folder)}")
    return tuple(f"{name}/{{}}.*" for name in USUAL)


def _below(tree):
    """A hint where a layout fits one folder below the root."""
    for name in tree.entries(tree.root)[1][:LOOKED_INTO]:
        below = Tree(tree.root / name)
        if any(_fits(below, *pair) for pair in _known()):
            return f"; a known layout is in {below.root}: say --root {below.root}"
    return ""


def _fits(tree, images, labels):
    """Whether a picture and its labels are there."""
    patterns = [Pattern(images), Pattern(labels)]
    for pattern in patterns:
        start = tree.start(pattern)
        if start is None or not _any_folder(tree, start, pattern.parts[:-1]):
            return False
    return pairs.any_pair(tree, *patterns)


def _any_folder(tree, start, parts):
    folders = [start]
    for part in parts:
        folders = [folder / name for folder in folders for name in tree.entries(folder)[1] if part.fullmatch(name)]
    return bool(folders)
