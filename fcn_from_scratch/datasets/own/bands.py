"""Pictures as cameras, scanners and satellites write them: which bands are red, green and blue, and their range."""

import re
import sys
import warnings

import numpy as np
from PIL import Image, ImageOps

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.images import formats, read_image
from fcn_from_scratch.datasets.own import tiff
from fcn_from_scratch.datasets.own.pages import header, open_page
from fcn_from_scratch.files import open_regular

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
           picture as a viewer shows it. A band of 0 and 255 behind the colours is a mask: what it hides becomes white
    range  (low, high): these values become 0 and 255, what lies outside is cut off; None divides 16 bits by 257
    Returns: uint8 (H, W, 3).
    Raises: InputError naming the file for several pages, samples of a type that cannot be read, bands that it lacks,
    and bands behind the colours that are no mask while `bands` does not say what to take.
    """
    if bands is None and range is None and _is_plain(path):
        return read_image(path)
    picture = open_page(path)
    if bands is None:
        _refuse_extra(picture, path)
        if range is None:
            _refuse_unbounded(picture, path)
            return _on_white(path) if header(path)[1] == "RGBX" else read_image(path)
    values = _chosen(picture, bands, path)
    if range is not None:
        values = _scaled(values, *range)
    elif values.dtype != np.uint8:
        values = _scaled(values, 0, 65535)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _on_white(path):
    """A picture with a mask that no tool marked as one, and that Pillow would drop."""
    values = _reread(path, "RGBX", "RGBX")
    return np.where(values[:, :, 3:] == 255, values[:, :, :3], np.uint8(255))


def deepest(path):
    """The largest value of a picture of more than 8 bits. Returns: int, or None for other pictures.

    A picture of 8 bits is not decoded. Floating-point pictures have no range to fill. Raises: as read_picture does.
    """
    if not _is_deep(path):
        return None
    picture = open_page(path)
    return None if picture.mode == "F" else int(_samples(picture, path).max())


def refuse_shallow(largest, where):
    """Raises: InputError where the largest value of all 16-bit pictures, `largest`, would leave them nearly black."""
    if largest is not None and 0 < largest < SHALLOW:
        top = max(255, 2 ** int(largest).bit_length() - 1)
        raise InputError(
            f"the 16-bit pictures in {where} hold no value above {largest} of 65535, so they would be nearly black: "
            f"type --range 0:{top}"
        )


def _is_plain(path):
    """Whether nothing about a picture is in doubt: it has 8 bits, one band or three, and one page."""
    try:
        mode, _, format = header(path)
        there = tiff.describe(path) if format == "TIFF" else None
    except Exception:  # whatever is wrong with the file: reading it says so in a sentence
        return False
    if mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr"):
        return False
    return format != "TIFF" or (
        there is not None and there.pages == 1 and there.bands == len(Image.getmodebandnames(mode))
    )


def _is_deep(path):
    try:
        mode, form, _ = header(path)
    except Exception:  # whatever is wrong with the file: reading it says so in a sentence
        return True
    return ";16" in form or mode.startswith(("I", "F"))


def _samples(picture, path):
    """All the bands that can be had, (H, W, B), with all their bits."""
    mode, form, format = header(path)
    if form.startswith("RGBX;16"):
        mode = "RGBX"
    if ";16" in form and mode in ("RGB", "RGBA", "RGBX", "LA"):
        high = _reread(path, mode, form)
        low = _reread(path, mode, _swapped(form))
        return high.astype(np.int64) * 256 + low
    if format == "TIFF" and form in ("RGBX", "RGBXX", "RGBXXX"):
        return _reread(path, "RGBX", form)
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "F") and not picture.mode.startswith("I"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    values = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    return values if values.ndim == 3 else values[:, :, None]


def _swapped(form):
    """The form whose upper byte is the lower one of this form. Pillow keeps the upper byte of 16-bit colours."""
    big = form.endswith("B") or (form.endswith("N") and sys.byteorder == "big")
    return form[:-1] + ("L" if big else "B")


def _reread(path, mode, form):
    """Decode a picture once more, taking its pixels as another form. Returns: uint8 (H, W, B)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_regular(path) as file, Image.open(file, formats=formats()) as picture:
                picture._mode = mode
                picture.tile = [_in_form(tile, form) for tile in picture.tile]
                picture.load()
                return np.array(ImageOps.exif_transpose(picture))
    except Exception as error:  # Pillow has no such form, or the file is damaged
        raise InputError(f"{path} cannot be read with all its bands and bits ({error})") from None


def _in_form(tile, form):
    codec, extents, offset, said = tile
    return type(tile)(codec, extents, offset, form if isinstance(said, str) else (form, *said[1:]))


def _chosen(picture, bands, path):
    """The bands to take, (H, W, 1 or 3)."""
    values = _samples(picture, path)
    count = values.shape[2]
    if bands is None:
        return values[:, :, :3] if count >= 3 else values[:, :, :1]
    if max(bands) >= count:
        there = tiff.describe(path)
        more = f"; it has {there.bands}, of which {count} can be read" if there and there.bands > count else ""
        raise InputError(f"{path} has no band {max(bands)}: its bands are 0..{count - 1}{more}")
    return values[:, :, list(bands)]


def _scaled(values, low, high):
    """Values low..high as 0..255, rounded. Returns: uint8."""
    scaled = (values.astype(np.float32) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled), 0, 255)).astype(np.uint8)


def _refuse_extra(picture, path):
    """Raises: InputError for bands behind the colours that are no mask of 0 and 255."""
    there = tiff.describe(path) if picture.format == "TIFF" else None
    colours = 1 if picture.mode in ("L", "LA") else 3
    count = there.bands if there else len(picture.getbands())
    if count <= colours or picture.mode in ("CMYK", "P", "PA", "F") or picture.mode.startswith("I"):
        return
    if count == colours + 1:
        values = np.asarray(picture) if len(picture.getbands()) == count else _samples(picture, path)
        if values.shape[2] == count and np.isin(values[:, :, colours], (0, 255)).all():
            return
    what = "its last one is no mask of 0 and 255" if count == colours + 1 else "a picture has three"
    raise InputError(
        f"{path} has {count} bands, and {what}: say which are red, green and blue, as in --bands "
        f"{'0,1,2' if colours == 3 else '0'}"
    )


def _refuse_unbounded(picture, path):
    """Raises: InputError for numbers whose range nobody knows."""
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        kind = "floating-point numbers" if picture.mode == "F" else "values"
        low, high = (f"{number:.6g}" for number in (np.nanmin(values), np.nanmax(values)))
        raise InputError(f"{path} holds {kind} from {low} to {high}: say what is black and white, by --range LOW:HIGH")
