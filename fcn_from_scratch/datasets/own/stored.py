"""The labels of a pair as its tool stored them, before anybody says what they mean."""

from PIL import Image

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.datasets.images import formats
from fcn_from_scratch.datasets.own.label_files import reader
from fcn_from_scratch.datasets.own.mask_list import paint
from fcn_from_scratch.files import open_regular

TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
ORIENTATION = 0x0112


def read_stored(pair, indexes, names=()):
    """The labels of one Pair.

    indexes  path -> Index, of files with the labels of many pictures
    names    the classes' names, in whose order the masks of a list are painted
    Returns: raw.Raw.
    Raises: InputError that names the file for labels that cannot be read.
    """
    if pair.entry is None:
        return reader(pair.labels)(pair.labels, pair.picture, None)
    index, size = indexes[pair.labels], shown_size(pair.picture)
    if index.is_coco:
        return index.content[pair.entry](size)
    masks = [(index.file(name), label) for name, label in index.content[pair.entry]]
    if len(masks) == 1 and masks[0][1] is None:
        return reader(masks[0][0])(masks[0][0], pair.picture, size)
    return paint(masks, names, size, pair.picture)


def files_of(pair, indexes):
    """The files that hold the labels of one Pair: its label file, or those that a list names. COCO's file is one."""
    if pair.entry is None or indexes[pair.labels].is_coco:
        return [pair.labels]
    index = indexes[pair.labels]
    return [index.file(name) for name, _ in index.content[pair.entry]]


def shown_size(path):
    """(height, width) of a picture as it is shown. Its pixels are not read.

    Raises: UnreadableError that names a file which is no picture.
    """
    try:
        with open_regular(path) as file, Image.open(file, formats=formats()) as picture:
            turned = picture.getexif().get(ORIENTATION) in TURNED
            return picture.size if turned else picture.size[::-1]
    except InputError as error:
        raise UnreadableError(str(error)) from None
    except Exception as error:  # decoders raise many kinds; the file is at fault each time
        raise UnreadableError(f"{path} cannot be read as a picture: {error}") from error
