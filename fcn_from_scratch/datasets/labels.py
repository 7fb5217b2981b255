"""Read and write label files.

A label file holds one class id per pixel. A palette PNG stores the id as the palette INDEX. Converting it to RGB
would give the colours and lose the ids, so labels are never converted. Only where a file's palette is not the
dataset's, its colours tell the ids (see colours.py). Every value that means "ignore" (255, -1, an
id that a dataset names) is read as 255.
"""

import numpy as np
from PIL import Image

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.colours import file_palette, from_colours, from_palette
from fcn_from_scratch.datasets.images import converted, open_picture
from fcn_from_scratch.datasets.mat import read_mat
from fcn_from_scratch.palette import voc_palette

IGNORE = 255
LOSSY = {"JPEG": "JPEG", "MPO": "JPEG", "JPEG2000": "JPEG 2000", "AVIF": "AVIF"}  # their compression may alter ids


def read_labels(path, num_classes=None, ignore=(), palette=None, first=0, upright=True):
    """Read the class ids of a label file.

    Palette files and grey files of 8, 16 or 32 bits give their values as stored. -1, 255 and the ids in `ignore`
    become 255.

    num_classes  ids 0..num_classes-1 are allowed, at most 255 classes; None allows 0..254
    palette      (K, 3) colours: colour k is id k. An RGB file is decoded by them, and so is a palette file whose
                 colours are in another order than its ids (see colours.py)
    first        the file's number for class 0. It is 1 where a file counts from 1 and its 0 means "ignore"
    upright      apply the EXIF orientation, as to pictures, so both are read as displayed
    Returns: uint8 (H, W).
    Raises: InputError naming the file for an id out of range, an RGB file without `palette`, a colour not in
    `palette`, a file in a format of LOSSY, or a file that is no picture.
    """
    num_classes = IGNORE if num_classes is None else checks.integer(num_classes, "num_classes", 1)
    if num_classes > IGNORE:
        raise ValueError(
            f"num_classes must be at most {IGNORE}, because the id {IGNORE} means ignore; got {num_classes}"
        )
    picture = open_picture(path, raw=True, upright=upright)
    refuse_lossy(picture, path)
    if picture.mode in ("RGB", "RGBA") and palette is not None:
        ids = from_colours(np.asarray(picture)[:, :, :3], palette, path)
    elif picture.mode == "P" and palette is not None and len(palette) == 256:
        ids = from_palette(np.asarray(picture), file_palette(picture), np.asarray(palette), path)
    else:
        ids = _stored_ids(picture, path)
    if first:
        ids[ids != IGNORE] -= first
    return _in_range(ids, num_classes, ignore, path)


def read_colour_labels(path, colours, ids, upright=True):
    """Read the class ids of a label file that shows each pixel's class as a colour.

    colours, ids  the known colours, uint8 (K, 3), and the id of each; several colours may have one id
    Returns: uint8 (H, W).
    Raises: InputError naming the file for another colour, for a grey file or one in a format of LOSSY.
    """
    picture = open_picture(path, upright=upright)
    refuse_lossy(picture, path)
    if picture.mode not in ("RGB", "RGBA", "P"):
        raise checks.InputError(f"{path} is a {picture.mode} picture; its labels must be colours (RGB)")
    return from_colours(np.asarray(converted(picture, "RGB", path)), colours, path, ids).astype(np.uint8)


def refuse_lossy(picture, path):
    """Raises: InputError for labels in a format whose compression may alter them."""
    if picture.format in LOSSY:
        raise checks.InputError(
            f"{path} is a {LOSSY[picture.format]}, whose compression alters class ids: save labels as PNG"
        )


def read_mat_labels(path, variable, num_classes=None, field=None, first=0, ignore=()):
    """Read the class ids that a MATLAB file holds as one array.

    variable, field  where the array is in the file: see mat.read_mat
    num_classes      as for read_labels
    first            the file's number for class 0. It is 1 where a file counts from 1 and its 0 means "ignore"
    ignore           further numbers in the file that mean "ignore"
    Returns: uint8 (H, W).
    Raises: InputError naming the file for an id out of range or an array that is no map of whole numbers; see also
    mat.read_mat.
    """
    numbers = mat_ids(path, variable, field)
    if first and (numbers == IGNORE + first).any():  # less `first` it would look like 255, which means "ignore"
        raise checks.InputError(f"{path} contains the number {IGNORE + first}, which is no class and no void")
    ids = numbers - first
    counted = f"{path} (its numbers minus {first})" if first else path
    return _in_range(ids, num_classes or IGNORE, [number - first for number in ignore], counted)


def mat_ids(path, variable, field=None):
    """Read a label map from a MATLAB file and keep the file's own numbers. Returns: int64 (H, W)."""
    values = read_mat(path, variable, field)
    if values.ndim != 2 or 0 in values.shape:
        raise checks.InputError(f"{path}: {variable} has shape {values.shape}; a label map has rows and columns")
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise checks.InputError(f"{path}: {variable} holds numbers that are not whole; labels are class ids")
    if not -(2**15) <= values.min() <= values.max() < 2**16:
        raise checks.InputError(
            f"{path}: {variable} holds numbers from {values.min():g} to {values.max():g}, which are no class ids"
        )
    return values.astype(np.int64)


def _in_range(ids, num_classes, ignore, path):
    """Check the range of the ids and replace those to ignore by 255, in place. Returns: uint8."""
    for number in (-1, *ignore):
        ids[ids == number] = IGNORE
    checks.file_label_range(ids, num_classes, IGNORE, path)
    return ids.astype(np.uint8)


def _stored_ids(picture, path):
    if picture.mode not in ("1", "L", "P", "LA", "PA", "I") and not picture.mode.startswith("I;16"):
        grey = picture.mode in ("RGB", "RGBA") and _is_grey(picture)
        raise checks.InputError(
            f"{path} is a {picture.mode} picture, not class ids: save labels as a palette or grey PNG"
            + ("; its three channels are equal, so save one of them" if grey else "")
        )
    ids = np.asarray(picture)
    return (ids[:, :, 0] if ids.ndim == 3 else ids).astype(np.int16 if ids.dtype.itemsize == 1 else np.int32)


def _is_grey(picture):
    """Whether the three channels are equal. Some rows at a time: a large picture would take much memory."""
    tops = range(0, picture.height, 256)
    parts = (np.asarray(picture.crop((0, top, picture.width, min(top + 256, picture.height)))) for top in tops)
    return all((part[:, :, :1] == part[:, :, :3]).all() for part in parts)


def save_labels(path, labels, palette=None):
    """Write labels, integers (H, W) in 0..255, as a palette PNG.

    palette  colours (256, 3); None takes VOC's
    """
    picture = Image.fromarray(np.asarray(labels).astype(np.uint8))
    picture.putpalette((voc_palette() if palette is None else np.asarray(palette, np.uint8)).tobytes())
    picture.save(path, format="PNG", optimize=True)
