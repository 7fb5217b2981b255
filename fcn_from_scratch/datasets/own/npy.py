"""Read labels from .npy files of unknown sources. Pickles are refused, and sizes are checked before memory is taken."""

import os
import warnings

import numpy as np

from fcn_from_scratch.checks import InputError, UnreadableError, numbers_claimed
from fcn_from_scratch.datasets.own.raw import Raw
from fcn_from_scratch.datasets.picture_costs import MOST_PIXELS
from fcn_from_scratch.files import open_regular

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MOST_HEADER = 1 << 16
LARGEST = 1 << 32  # no class has a number from here on
FULL = "labels are whole numbers (H, W), or colours (H, W, 3) of 8 bits"


def read_npy(path, picture_path=None, size=None):
    """Read the labels of one picture: whole numbers (H, W), or colours, uint8 (H, W, 3).

    Numbers with a fraction of zero count as whole. Axes of length 1 are dropped.
    Returns: Raw.
    Raises: InputError naming the file for other shapes and numbers; UnreadableError for a damaged file or one of
    Python objects.
    """
    array = _array(path)
    while array.ndim > 2 and 1 in array.shape and array.shape[2:] != (3,):
        array = array.squeeze(array.shape.index(1))
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        return Raw(colours=array)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{path} has the shape {array.shape}; {FULL}")
    return Raw(whole(array, path))


def whole(array, path):
    """An array of whole numbers as integers; booleans stay.

    Raises: InputError for fractions, and for numbers that no class has.
    """
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.rint(array))).all() or np.abs(array).max() >= LARGEST:
            raise InputError(
                f"{path} holds numbers that are not whole, from {array.min():g} to {array.max():g}: it is a soft mask, "
                "not classes; save whole numbers, such as 0 below one half and 1 above"
            )
        return array.astype(np.int64)
    if array.dtype == np.uint64 and array.max() > 2**62:
        raise InputError(f"{path} holds the number {array.max()}, which is no class")
    return array if array.dtype.itemsize <= 2 else array.astype(np.int64)


def _array(path):
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, about headers that Python 2 wrote
            return _read(file, path)
    except FileNotFoundError:
        raise UnreadableError(f"there is no file {path}") from None
    except InputError as error:
        raise UnreadableError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:  # NumPy parses the header as Python, and Python's parser raises many kinds
        raise UnreadableError(f"{path} cannot be read as an array: {str(error) or 'its header is damaged'}") from None


def _read(file, path):
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise InputError(f"{path} has the unknown format version {version}")
    shape, fortran_order, dtype = _HEADERS[version](file, max_header_size=MOST_HEADER)
    if dtype.kind not in "fiub":
        raise InputError(f"{path} holds {'Python objects' if dtype.hasobject else dtype}, not numbers; {FULL}")
    there = os.fstat(file.fileno()).st_size - file.tell()
    count = numbers_claimed(shape) if all(n >= 0 for n in shape) else -1
    if count * dtype.itemsize != there or count > 4 * MOST_PIXELS:
        raise InputError(f"{path} claims the shape {shape} of {dtype}, which does not fit the {there} bytes it has")
    array = np.frombuffer(file.read(there), dtype).reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="))
