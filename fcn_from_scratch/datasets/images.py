"""Read pictures from disk. They become uint8 (H, W, 3) RGB; anything else is a clear error."""

import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.files import open_regular

# The formats that are read, by Pillow's names. Pillow knows more, and it goes by a file's content: a "photo.png" that
# holds EPS would start the program Ghostscript. None of these starts a program.
FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "TGA", "PCX", "JPEG2000", "AVIF")
MOST_PIXELS = 50_000_000
STRIP = 1 << 22  # pixels that are converted at once


def open_picture(path, raw=False):
    """Decode a picture with its EXIF orientation applied, as a viewer displays it, in the mode it was stored in.

    raw  keep the stored values of a grey PNG of 2 or 4 bits, which are ids; Pillow would stretch them to 0..255
    Returns: PIL image, loaded, with its file closed. Of several frames it is the first.
    Raises: UnreadableError naming the file when it is missing, empty, cut short, damaged, no regular file or no
    picture in one of FORMATS. A picture of more than MOST_PIXELS is refused too: a small file may claim a huge size.
    """
    path = Path(path)
    with _blamed(path), open_regular(path) as file, Image.open(file, formats=formats()) as picture:
        _check_size(picture, path)
        format, stretch = picture.format, _stretch(picture)
        picture.load()
        if raw and stretch > 1:
            picture = picture.point([value // stretch for value in range(256)])
        upright = ImageOps.exif_transpose(picture)
        upright.format = upright.format or format
        return upright


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
        raise _too_large(path) from None
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


def _check_size(picture, path):
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_large(path)


def _too_large(path):
    return UnreadableError(f"{path} is larger than {MOST_PIXELS / 1e6:.0f} megapixels; make it smaller first")


def _stretch(picture):
    """The factor by which Pillow multiplies the values of a grey PNG: 85 for 2 bits, 17 for 4 bits, otherwise 1."""
    if picture.format != "PNG" or picture.mode != "L" or not picture.tile:
        return 1
    return {"L;2": 85, "L;4": 17}.get(picture.tile[0][3], 1)


def read_image(path):
    """Read a picture as RGB.

    Grey is repeated for the three channels. CMYK and the like are converted. Transparent parts are laid on white.
    16-bit values v become v / 257. The EXIF orientation is applied, so the array shows what a viewer shows, and the
    labels must fit that.

    Returns: uint8 (H, W, 3) RGB.
    Raises: InputError naming the file, as open_picture does, and for floating-point pixels, whose range is unknown.
    """
    picture = open_picture(path)
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
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


def _from_16_bit(values, path):
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{path} holds pixel values from {values.min()} to {values.max()}; only 0..65535 can be read")
    grey = np.rint(values / 257).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read_depth(path):
    """Read a depth map, a grey PNG of 8 or 16 bits, and take logarithms. The paper's RGB-D networks see ln(d).

    Returns: float32 (H, W), ln(d) of the stored values d.
    Raises: InputError naming the file for a picture in colour and for a depth of 0, which has no logarithm.
    """
    picture = open_picture(path)
    if picture.mode != "L" and not picture.mode.startswith("I"):
        raise InputError(f"{path} is a {picture.mode} picture; a depth map must be grey, with 8 or 16 bits")
    depth = np.asarray(picture)
    if depth.min() <= 0:
        raise InputError(f"{path} has {(depth <= 0).sum()} pixels without a depth: use maps whose holes are filled")
    return np.log(depth.astype(np.float32))
