"""Read pictures from disk. They become uint8 (H, W, 3) RGB; anything else is a clear error."""

import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.datasets import picture_costs
from fcn_from_scratch.files import open_regular

# The formats that are read, by Pillow's names. Pillow knows more, and it goes by a file's content: a "photo.png" that
# holds EPS would start the program Ghostscript. None of these starts a program.
FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "TGA", "PCX", "JPEG2000", "AVIF")
STRIP = 1 << 20  # pixels that are converted at once


def open_picture(path, raw=False, upright=True):
    """Decode a picture in the mode it was stored in.

    raw      keep the stored values of a grey picture, which are ids. Pillow stretches those of 2 or 4 bits, or of a
             PGM whose largest value is another one, to 0..255, and turns round those of a TIFF in which 0 is white
    upright  apply the EXIF orientation, as a viewer does; otherwise the pixels are those that are stored
    Returns: PIL image, loaded, with its file closed. Of several frames it is the first.
    Raises: UnreadableError naming the file when it is missing, empty, cut short, damaged, no regular file or no
    picture in one of FORMATS. A small file may claim a huge size: one that costs too much is refused as well, see
    picture_costs.
    """
    path = Path(path)
    with _blamed(path), open_regular(path) as file, Image.open(file, formats=formats()) as picture:
        _check_cost(picture, file, path)
        format, restore = picture.format, _restoring(picture)
        picture.load()
        if raw and restore:
            picture = restore(picture)
        turned = ImageOps.exif_transpose(picture) if upright else picture
        turned.format = turned.format or format
        return turned


@contextmanager
def _blamed(path):
    """Inside, whatever Pillow raises becomes an UnreadableError that names the file, and its warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd tags; a hostile file has thousands of them
            yield
    except FileNotFoundError:
        raise UnreadableError(f"there is no file {path}") from None
    except Image.DecompressionBombError:
        most = picture_costs.MOST_PIXELS / 1e6
        raise UnreadableError(f"{path} is larger than {most:.0f} megapixels; make it smaller first") from None
    except UnidentifiedImageError:
        known = ", ".join(name for name in FORMATS if name not in ("MPO", "DIB"))
        raise UnreadableError(f"{path} cannot be read as a picture: it is none of the formats {known}") from None
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read as a picture: {error.strerror or error}") from error
    except InputError as error:
        raise UnreadableError(str(error)) from None
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, struct.error and others. The file is at fault each time.
        reason = str(error) or type(error).__name__
        raise UnreadableError(f"{path} cannot be read as a picture: {reason}") from error


def formats():
    """Those of FORMATS that this Pillow can read. It lacks some on some systems."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def extensions():
    """The endings of files in these formats, such as ".png"."""
    known = formats()
    return {ending for ending, name in Image.EXTENSION.items() if name in known}


def _check_cost(picture, file, path):
    def data():
        place = file.tell()
        file.seek(0)
        found = file.read()
        file.seek(place)
        return found

    if problem := picture_costs.problem(picture, data):
        raise UnreadableError(f"{path} {problem}")


def _restoring(picture):
    """A function from Pillow's grey picture to the stored values; None where they are equal.

    Pillow names the form of the stored pixels, such as "L;4" for 4 bits and "L;4I" for 4 bits where 0 is white. A PGM
    has its largest value beside it. Pictures of 1 bit are left as they are shown.
    """
    if picture.format not in ("PNG", "TIFF", "PPM") or picture.mode not in ("L", "I") or not picture.tile:
        return None
    form = picture.tile[0][3]
    form, most = form[:2] if isinstance(form, tuple) else (form, 0)
    if picture.format == "PPM" and most:
        scale = most / (255 if picture.mode == "L" else 65535)
        return lambda loaded: Image.fromarray(np.rint(np.asarray(loaded) * scale).astype(np.int32))
    match = re.fullmatch(r"L;?([24]?)(I?)R?", form)
    if picture.format == "PPM" or not match or not any(match.groups()):
        return None
    most = 2 ** int(match[1] or 8) - 1
    table = [value * most // 255 for value in range(256)]
    if match[2]:
        table = [most - value for value in table]
    return lambda loaded: loaded.point(table)


def read_image(path, upright=True):
    """Read a picture as RGB.

    Grey is repeated for the three channels. CMYK and the like are converted. Transparent parts are laid on white.
    16-bit values v become v / 257.

    upright  apply the EXIF orientation, so that the array shows what a viewer shows. The published datasets are read
             without it: their labels belong to the pixels as they are stored
    Returns: uint8 (H, W, 3) RGB.
    Raises: InputError naming the file, as open_picture does, and for floating-point pixels, whose range is unknown.
    """
    picture = open_picture(path, upright=upright)
    if picture.mode == "F":
        raise InputError(f"{path} holds floating-point pixels of unknown range; save it with 8 or 16 bits")
    with _blamed(path):  # a broken palette shows only here
        return _in_strips(picture, path)


def _in_strips(picture, path):
    """The picture as RGB, some rows at a time: so the memory is that of the result, not of each form on the way."""
    found = np.empty((picture.height, picture.width, 3), np.uint8)
    rows = max(1, STRIP // picture.width)
    for top in range(0, picture.height, rows):
        part = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        found[top : top + rows] = _as_rgb(part, path)
    return found


def _as_rgb(picture, path):
    if picture.mode.startswith("I"):
        return _from_16_bit(np.asarray(picture), path)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = converted(picture, "RGBA", path)
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(converted(picture, "RGB", path))


def converted(picture, mode, path):
    """A picture in another mode. Raises: UnreadableError, as for a number that a file's palette has no colour for."""
    try:
        return picture.convert(mode)
    except (ValueError, OSError) as error:
        raise UnreadableError(f"{path} cannot be read as a picture: {error}") from None


def _from_16_bit(values, path):
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{path} holds pixel values from {values.min()} to {values.max()}; only 0..65535 can be read")
    grey = np.rint(values / 257).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read_hha(path):
    """Read an HHA picture: three channels of 8 bits, computed from depth, as they are stored.

    Returns: uint8 (H, W, 3).
    Raises: InputError naming the file for a picture of another kind. A grey one shows the depth or one channel alone.
    """
    picture = open_picture(path, upright=False)
    if picture.mode != "RGB":
        raise InputError(f"{path} is a {picture.mode} picture; HHA must have three channels of 8 bits (RGB)")
    return np.array(picture)


def read_depth(path):
    """Read a depth map, a grey PNG of 16 bits, and take logarithms. The paper's RGB-D networks see ln(d).

    Returns: float32 (H, W), ln(d) of the stored values d.
    Raises: InputError naming the file for a picture in colour or of 8 bits, and for a depth of 0, which has no
    logarithm. Eight bits are a picture of the depth: they cannot hold millimetres.
    """
    picture = open_picture(path, upright=False)
    if not picture.mode.startswith("I"):
        kind = "a grey picture of 8 bits" if picture.mode == "L" else f"a {picture.mode} picture"
        raise InputError(f"{path} is {kind}; a depth map must be grey, with 16 bits")
    return log_depth(np.asarray(picture), path)


def log_depth(depth, path):
    """float32 ln(d) of depths d. Raises: InputError for a depth of 0 or less."""
    if not depth.min() > 0:
        raise InputError(f"{path} has {(~(depth > 0)).sum()} pixels without a depth: use maps whose holes are filled")
    return np.log(depth.astype(np.float32))
