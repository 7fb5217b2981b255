"""Read and write label files.

A label file holds one class id per pixel. A palette PNG stores the id as the palette INDEX. Converting it to RGB
would give the colours and lose the ids, so labels are never converted. Every value that means "ignore" (255, -1, an
id that a dataset names) is read as 255.
"""

import numpy as np
from PIL import Image

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.images import open_picture
from fcn_from_scratch.datasets.mat import read_mat
from fcn_from_scratch.palette import voc_palette

IGNORE = 255


def read_labels(path, num_classes=None, ignore=(), palette=None):
    """Read the class ids of a label file.

    Palette files and grey files of 8, 16 or 32 bits give their values as stored. -1, 255 and the ids in `ignore`
    become 255. The EXIF orientation is applied as it is to pictures, so both are read as displayed.

    num_classes  ids 0..num_classes-1 are allowed, at most 255 classes; None allows 0..254
    palette      (K, 3) colours, by which an RGB file is decoded: colour k becomes id k
    Returns: uint8 (H, W).
    Raises: InputError naming the file for an id out of range, an RGB file without `palette`, a colour not in
    `palette`, a JPEG (its compression alters ids), or a file that is no picture.
    """
    num_classes = IGNORE if num_classes is None else checks.integer(num_classes, "num_classes", 1)
    if num_classes > IGNORE:
        raise ValueError(
            f"num_classes must be at most {IGNORE}, because the id {IGNORE} means ignore; got {num_classes}"
        )
    picture = open_picture(path, raw=True)
    if picture.mode in ("RGB", "RGBA") and palette is not None:
        ids = _from_colours(np.asarray(picture)[:, :, :3], np.asarray(palette), path)
    else:
        ids = _stored_ids(picture, path)
    return _in_range(ids, num_classes, ignore, path)


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
    ids = mat_ids(path, variable, field) - first
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
        pixels = np.asarray(picture)
        grey = picture.mode in ("RGB", "RGBA") and (pixels[:, :, :1] == pixels[:, :, :3]).all()
        raise checks.InputError(
            f"{path} is a {picture.mode} picture, not class ids: save labels as a palette or grey PNG"
            + ("; its three channels are equal, so save one of them" if grey else "")
        )
    if picture.format == "JPEG":
        raise checks.InputError(f"{path} is a JPEG, whose compression alters class ids: save labels as PNG")
    ids = np.asarray(picture)
    return (ids[:, :, 0] if ids.ndim == 3 else ids).astype(np.int16 if ids.dtype.itemsize == 1 else np.int64)


def _from_colours(pixels, palette, path):
    codes = pixels.astype(np.int64) @ (65536, 256, 1)
    known = palette.astype(np.int64) @ (65536, 256, 1)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
    ids = order[place]
    wrong = known[ids] != codes
    if wrong.any():
        red, green, blue = pixels[wrong][0]
        raise checks.InputError(
            f"{path} has {wrong.sum()} pixels in colours not in the palette: first ({red}, {green}, {blue})"
        )
    return ids


def save_labels(path, labels, palette=None):
    """Write labels, integers (H, W) in 0..255, as a palette PNG.

    palette  colours (256, 3); None takes VOC's
    """
    picture = Image.fromarray(np.asarray(labels).astype(np.uint8))
    picture.putpalette((voc_palette() if palette is None else np.asarray(palette, np.uint8)).tobytes())
    picture.save(path, format="PNG", optimize=True)
