"""Pictures as cameras, scanners and satellites write them: which bands are red, green and blue, and their range."""

import re

from fcn_from_scratch.checks import InputError

SHALLOW = 65536 // 8  # 16-bit pictures that stay below it use fewer bits than they have


def parse_bands(text):
    """Read --bands, "0,1,2": the bands, counted from 0, that are red, green and blue, or one for grey.

    Returns: tuple of int, or None for None.
    """
    if text is None:
        return None
    parts = [part.strip() for part in str(text).split(",")]
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"\d{1,3}", part, re.ASCII) for part in parts):
        raise InputError(f"--bands takes three bands counted from 0, such as 0,1,2, or one; got {str(text)[:40]!r}")
    return tuple(map(int, parts))


def parse_range(text):
    """Read --range, "0:4095": the values that become black and white. Returns: (low, high), or None for None."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(-?\d{1,10}(?:\.\d{1,10})?)\s*:\s*(-?\d{1,10}(?:\.\d{1,10})?)\s*", str(text), re.ASCII)
    if not found or not float(found[1]) < float(found[2]):
        raise InputError(f"--range takes LOW:HIGH, such as 0:4095, with LOW below HIGH; got {str(text)[:40]!r}")
    return float(found[1]), float(found[2])


def read_picture(path, bands=None, range=None):
    """Read a picture as RGB.

    bands  tuple of the bands that are red, green and blue, counted from 0, or of one band for grey; None takes the
           picture as a viewer shows it. A fourth band of 0 and 255 is a mask: what it hides becomes white
    range  (low, high): these values become 0 and 255, what lies outside is cut off; None divides 16 bits by 257
    Returns: uint8 (H, W, 3).
    Raises: InputError naming the file for several pages, samples of a type that cannot be read, bands that it lacks,
    and a fourth band that is not a mask while `bands` does not say what to take.
    """
    picture = _open(path)
    if bands is None:
        _refuse_fourth(picture, path)
    if bands is None and range is None:
        return read_image(path)
    values = _chosen(picture, bands, path)
    if range is not None:
        values = _scaled(values, *range)
    elif values.dtype != np.uint8:
        raise InputError(
            f"{path} has bands of {values.dtype.itemsize * 8} bits: say what is black and white, by --range"
        )
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
