"""Labels that are stored as a picture: grey or palette pictures give their stored numbers, others their colours."""

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.colours import file_palette
from fcn_from_scratch.datasets.labels import LOSSY
from fcn_from_scratch.datasets.own.npy import whole
from fcn_from_scratch.datasets.own.pages import header, open_page
from fcn_from_scratch.datasets.own.raw import Raw
from fcn_from_scratch.files import open_regular

MOST_CHUNKS = 64  # of a WebP file; the picture is one of the first


def read_label_picture(path, picture_path=None, size=None):
    """Read the labels of one picture, upright as a viewer shows them.

    Returns: Raw. The fourth band of a picture is dropped: tools set it where they set a colour.
    Raises: InputError naming the file for several pages, and where only the transparency tells anything.
    """
    picture = open_page(path, raw=True)
    lossy = _lossy(picture, path)
    if picture.mode == "P":
        return Raw(np.asarray(picture), palette=file_palette(picture), lossy=lossy)
    pixels = np.asarray(
        picture if picture.mode not in ("PA", "CMYK", "YCbCr", "LAB", "HSV") else picture.convert("RGB")
    )
    if pixels.ndim == 2:
        return Raw(whole(pixels, path), lossy=lossy)
    if ";16" in header(path)[1]:
        raise InputError(f"{path} has colours of 16 bits, of which 8 would be lost: save labels with 8 bits, or grey")
    bands = pixels.shape[2]
    if bands in (2, 4):
        _refuse_alpha_alone(pixels, path)
    if bands <= 2:
        return Raw(pixels[:, :, 0], lossy=lossy)
    return Raw(colours=pixels[:, :, :3], lossy=lossy)


def _refuse_alpha_alone(pixels, path):
    shown, alpha = pixels[:, :, :-1], pixels[:, :, -1]
    if (alpha != alpha[0, 0]).any() and (shown == shown[0, 0]).all():
        raise InputError(
            f"{path} has one colour everywhere, and only its transparency differs: save the labels as a grey or "
            "palette PNG"
        )


def _lossy(picture, path):
    """The name of the compression that may have altered the picture's values; None where there is none."""
    if picture.format == "TIFF" and picture.info.get("compression") in ("jpeg", "tiff_jpeg", "webp"):
        return "TIFF with JPEG compression"
    if picture.format == "WEBP":
        return "lossy WebP" if b"VP8 " in _chunks(path) else None
    return LOSSY.get(picture.format)


def _chunks(path):
    """The names of a WebP file's chunks. The one of the picture tells its compression: "VP8 " is lossy, "VP8L" is not.

    A file is "RIFF", a size and "WEBP", then chunks of a name, a size and as many bytes, filled up to an even number.
    """
    names = []
    with open_regular(path) as file:
        file.seek(12)
        while len(names) < MOST_CHUNKS and len(head := file.read(8)) == 8:
            names.append(head[:4])
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return names
