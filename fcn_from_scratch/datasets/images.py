"""Read pictures from disk. What Pillow can open becomes uint8 (H, W, 3) RGB; anything else is a clear error."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fcn_from_scratch.checks import InputError, UnreadableError


def open_picture(path, raw=False):
    """Decode a picture with its EXIF orientation applied, as a viewer displays it, in the mode it was stored in.

    raw  keep the stored values of a grey PNG of 2 or 4 bits, which are ids; Pillow would stretch them to 0..255
    Returns: PIL image, loaded, with its file closed. Of several frames it is the first.
    Raises: InputError naming the file when it is missing, empty, cut short, damaged or no picture. A picture with
    more pixels than Pillow's MAX_IMAGE_PIXELS is refused too, since a small file may claim a huge size.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            # Above this limit Pillow only warns. A picture of that size would not fit through a network either.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                format, stretch = picture.format, _stretch(picture)
                picture.load()
                if raw and stretch > 1:
                    picture = picture.point([value // stretch for value in range(256)])
                upright = ImageOps.exif_transpose(picture)
                upright.format = upright.format or format
                return upright
    except FileNotFoundError:
        raise UnreadableError(f"there is no file {path}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise UnreadableError(f"{path} is larger than {limit:.0f} megapixels; make it smaller first") from None
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, struct.error and others. The file is at fault each time.
        reason = str(error) or type(error).__name__
        raise UnreadableError(f"{path} cannot be read as a picture: {reason}") from error


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
    if picture.mode.startswith("I"):
        return _from_16_bit(np.asarray(picture), path)
    if picture.mode == "F":
        raise InputError(f"{path} holds floating-point pixels of unknown range; save it with 8 or 16 bits")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


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
