"""Read arrays of numbers from HDF5 files: MATLAB's files of level 7.3, and NYUDv2's nyu_depth_v2_labeled.mat.

The package h5py reads the format; it is an extra (pip install 'fcn_from_scratch[hdf5]'). The files come from strangers.
So only plain arrays of numbers in the file itself are read: no link to another file is followed, no array whose
numbers lie in other files is opened, no object is built, and sizes are compared with a limit before memory is taken.

MATLAB stores a matrix column by column, and HDF5 reads row by row: its shapes are MATLAB's backwards.
"""

from contextlib import contextmanager

import numpy as np

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.files import open_regular

SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # MATLAB writes its own header before the file
LARGEST = 64 * 2**20  # the most bytes of an array that is read, and of a piece in which it is stored
MOST_NAMES = 1000
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}  # those that HDF5 itself brings; others would load a library


def is_hdf5(head):
    """Whether these first bytes of a file, USER_BLOCK and some more, are those of an HDF5 file."""
    return head.startswith(SIGNATURE) or head[USER_BLOCK:].startswith(SIGNATURE)


@contextmanager
def opened(path):
    """The open file, an h5py.File.

    Raises: InputError if h5py is not installed or the file is damaged; the errors of h5py inside become InputErrors.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"{path} is an HDF5 file (MATLAB's level 7.3): install h5py to read it, or save it with -v7"
        ) from None
    try:
        with open_regular(path) as raw, h5py.File(raw, "r") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except Exception as error:
        # h5py raises OSError, ValueError, KeyError, RuntimeError and others. The file is at fault each time.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as an HDF5 file: {reason}") from None


def array(group, name, path):
    """An array of numbers of an open file, not read yet: an h5py.Dataset.

    Raises: InputError when it is not there, or is anything but numbers stored in this file.
    """
    import h5py

    found = member(group, name, path)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: {name} is a {type(found).__name__.lower()}, not an array")
    plist = found.id.get_create_plist()
    filters = {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}
    if found.is_virtual or found.external:
        raise InputError(f"{path}: the numbers of {name} lie in other files, which are not opened")
    if found.dtype.kind not in "iuf" or found.dtype.itemsize > 8 or found.shape is None:
        raise InputError(f"{path}: {name} holds no numbers")
    if matlab_class(found) in ("char", "string", "cell", "struct", "function_handle"):
        raise InputError(f"{path}: {name} is a MATLAB {matlab_class(found)}, not an array of numbers")
    if not filters <= FILTERS.keys():
        raise InputError(f"{path}: {name} is packed with a filter that is not one of {', '.join(FILTERS.values())}")
    if found.chunks and np.prod(found.chunks, dtype=float) * found.dtype.itemsize > LARGEST:
        raise InputError(f"{path}: {name} is stored in pieces of more than {LARGEST >> 20} MiB")
    return found


def member(group, name, path):
    """What a group holds under a name. Raises: InputError when nothing is there, or a link that leads elsewhere."""
    import h5py

    link = group.get(name, getlink=True) if "/" not in name else None
    if link is None:
        names = [each for _, each in zip(range(MOST_NAMES), group)]
        where = "" if group.name == "/" else f" in {group.name}"
        shown = few([each for each in names if not each.startswith("#")])
        raise InputError(f"{path} holds no variable {name}{where}; it holds {shown or 'none'}")
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"{path}: {name} is a link to another place, which is not followed")
    return group[name]


def numbers(dataset, selection, path):
    """Some numbers of an array, such as one picture of many: dataset[selection], in MATLAB's order of axes.

    selection  an index of the first HDF5 axis, or () for everything
    Raises: InputError for more than LARGEST bytes.
    """
    shape = dataset.shape if selection == () else dataset.shape[1:]
    size = np.prod(shape, dtype=float) * dataset.dtype.itemsize
    if size > LARGEST:
        raise InputError(f"{path}: {dataset.name} has {size / 2**20:.0f} MiB, more than {LARGEST >> 20} MiB at once")
    return np.asarray(dataset[selection]).T


def matlab_class(dataset):
    """The MATLAB class that a dataset or group was saved as; "" where it does not say."""
    try:
        attribute = dataset.attrs.get_id("MATLAB_class")
    except KeyError:
        return ""
    if attribute.get_storage_size() > 100:
        return ""
    value = dataset.attrs["MATLAB_class"]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def read_hdf5(path, variable, field=None):
    """Read the numbers of a MATLAB variable, or of one field of a variable that is a single struct.

    A cell array stands for its first cell, as in `mat.read_mat`.
    Returns: an array in MATLAB's order of axes.
    """
    with opened(path) as file:
        group, name = file, variable
        if field is not None:
            group, name = _struct(file, variable, field, path), field
        return numbers(array(group, name, path), (), path)


def _struct(file, variable, field, path):
    """The group of a struct. In a cell array, this is the struct in its first cell."""
    import h5py

    found = member(file, variable, path)
    if isinstance(found, h5py.Dataset) and found.dtype == h5py.ref_dtype and found.shape and 0 not in found.shape:
        if found.is_virtual or found.external:
            raise InputError(f"{path}: {variable} lies in other files, which are not opened")
        found = file[found[(0,) * found.ndim]]  # such a reference names an object of this file
    if not isinstance(found, h5py.Group):
        raise InputError(f"{path}: the variable {variable} is not a single struct with a field {field}")
    return found
