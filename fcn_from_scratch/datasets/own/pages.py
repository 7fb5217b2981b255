"""Open a picture that is one page, and say what a TIFF holds that cannot be read."""

import warnings

from PIL import Image

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.datasets.images import formats, open_picture
from fcn_from_scratch.datasets.own import tiff
from fcn_from_scratch.files import open_regular


def open_page(path, raw=False):
    """Decode a picture, upright. Returns: PIL image; see images.open_picture.

    Raises: InputError for a TIFF of several pages, of which nobody says which one is meant; UnreadableError for a TIFF
    whose samples are of a type that Pillow cannot read, which it names.
    """
    try:
        picture = open_picture(path, raw=raw)
    except UnreadableError as error:
        found = _described(path)
        if found is None or "none of the formats" not in str(error):
            raise
        raise UnreadableError(
            f"{path} is a TIFF of {found}, which Pillow cannot read: save it with bands of 8 bits, or grey with 16"
        ) from None
    found = tiff.describe(path) if picture.format == "TIFF" else None
    if found and found.pages > 1:
        count = f"{tiff.MOST_PAGES} or more" if found.pages >= tiff.MOST_PAGES else found.pages
        raise InputError(f"{path} has {count} pages; save each page as a file of its own")
    return picture


def header(path):
    """(mode, form, format) of a picture, from its first bytes: how its pixels are decoded and how they are stored.

    The form is in Pillow's words, such as "RGB;16B"; "" where Pillow does not say. Raises: whatever Pillow raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_regular(path) as file, Image.open(file, formats=formats()) as picture:
            form = picture.tile[0][3] if picture.tile else ""
            form = form[0] if isinstance(form, tuple) and form else form
            return picture.mode, form if isinstance(form, str) else "", picture.format


def _described(path):
    try:
        return tiff.describe(path)
    except (OSError, InputError):
        return None
