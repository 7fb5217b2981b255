"""labelme's JSON beside a picture: outlines with names, painted in the order in which they were drawn.

Outlines are filled as labelme's own converter fills them (wkentaro/labelme, labelme/utils/shape.py). AnyLabeling and
X-AnyLabeling write the same form; their rotated and upright rectangles have four corners.
"""

import base64
import binascii
import io

import numpy as np
from PIL import Image

from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.own import outlines
from fcn_from_scratch.datasets.own.json_file import read_json
from fcn_from_scratch.datasets.own.raw import IGNORED, UNMARKED, Raw
from fcn_from_scratch.datasets.picture_costs import MOST_PIXELS

IGNORE_NAME = "__ignore__"
MOST_SHAPES = 100_000
MOST_BYTES = 256 << 20  # of one file; it may hold the picture itself


def read_labelme(path, picture_path=None, size=None):
    """Read the labels of one picture.

    size  the picture's (H, W); None takes the size that the file gives
    Returns: Raw with names; pixels that no outline covers are UNMARKED, those in an outline __ignore__ are IGNORED.
    Raises: InputError naming the file for a size that differs from the picture's, and for a shape that marks no area.
    """
    content = read_json(path, MOST_BYTES)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or len(shapes) > MOST_SHAPES:
        raise InputError(f"{path} is no labelme file: it has no list of shapes")
    size = _size(content, size, path, picture_path)
    names = [_name(shape, path) for shape in shapes]
    kept = tuple(dict.fromkeys(name for name in names if name != IGNORE_NAME))
    places = {name: place for place, name in enumerate(kept)} | {IGNORE_NAME: IGNORED}
    values = np.full(size, UNMARKED, np.int32)
    for number, (shape, name) in enumerate(zip(shapes, names), 1):
        try:
            values[_mask(shape, size)] = places[name]
        except InputError as error:
            raise InputError(f"{path}: shape {number} ({printable(name)}) has {error}") from None
    return Raw(values, names=kept)


def _size(content, size, path, picture_path):
    said = content.get("imageHeight"), content.get("imageWidth")
    if said != (None, None) and not all(type(n) is int and 0 < n <= MOST_PIXELS for n in said):
        raise InputError(f"{path} gives its picture the size {str(said[0])[:20]}x{str(said[1])[:20]}")
    if size is None and said[0]:
        size = said
    if size is None:
        raise InputError(f"{path} does not say how large its picture is")
    if said[0] and said != tuple(size):
        raise InputError(
            f"{path} was drawn on a picture of {said[0]}x{said[1]} pixels, but {picture_path} is {size[0]}x{size[1]}"
        )
    if size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"{path} gives its picture the size {size[0]}x{size[1]}, more than any that is read")
    return tuple(size)


def _name(shape, path):
    name = shape.get("label") if isinstance(shape, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{path} has a shape without a label")
    return nfc(name.strip())


def _mask(shape, size):
    """The pixels in a shape. Returns: bool (H, W)."""
    kind = shape.get("shape_type") or "polygon"
    corners = outlines.points(shape.get("points"))
    if kind == "mask":
        return _pasted(shape.get("mask"), corners, size)
    if kind in ("polygon", "oriented_rectangle", "rotation") or (kind == "rectangle" and len(corners) == 4):
        return outlines.polygon(corners, size)
    if kind not in ("rectangle", "circle"):
        raise InputError(f"the type {kind!r}, which marks no area; polygons, rectangles, circles and masks do")
    if len(corners) != 2:
        raise InputError(f"a {kind} of {len(corners)} points; labelme writes two")
    return (outlines.rectangle if kind == "rectangle" else outlines.circle)(*_pair(kind, corners), size)


def _pair(kind, corners):
    return (corners,) if kind == "rectangle" else corners


def _pasted(text, corners, size):
    """A mask that the file holds as a small picture, a PNG in base64, at the place of its upper left corner."""
    if not isinstance(text, str) or len(corners) != 2:
        raise InputError("a mask without a picture or without its two corners")
    small = _picture(text, size)
    (left, top), (height, width) = (int(n) for n in corners[0]), small.shape
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise InputError(f"a mask of {height}x{width} pixels at row {top}, column {left}, which leaves the picture")
    found = np.zeros(size, bool)
    found[top : top + height, left : left + width] = small
    return found


def _picture(text, size):
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.height > size[0] or picture.width > size[1]:
                raise InputError(f"a mask of {picture.height}x{picture.width} pixels, larger than the picture")
            return np.array(picture.convert("L")) > 0
    except InputError:
        raise
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"a mask that is no PNG in base64 ({str(error)[:60]})") from None
