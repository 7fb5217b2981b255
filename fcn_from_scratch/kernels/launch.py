"""Compiling the CUDA sources beside this file, and launching their kernels with every argument checked.

CuPy passes on whatever it is given: an array of another dtype, a transposed view or an integer of another width is
read as if it were what the kernel expects, and the result is rubbish or memory overwritten. So each launch is compared
with the kernel's declared parameters (kernels.table) first. A complaint here is a mistake in this package.
"""

import functools
import re
from pathlib import Path

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.table import INT, KERNELS, PACKED

SOURCES = Path(__file__).parent
THREADS = 256  # of a block; BLOCK in reduce.cuh
MOST_BLOCKS = 1 << 16  # the grid-stride loop takes what is left over; enough to fill any GPU many times
WALKERS = 1 << 12  # blocks of a kernel whose threads walk
PACK_BYTES = 16  # Pack in common.cuh: the most that a thread reads or writes at once
GRID_LIMIT = np.iinfo(np.int32).max  # CUDA's, for a grid of one dimension
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
DTYPES = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned char": np.dtype(np.uint8),
    "unsigned": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
}
HOST = None  # takes NumPy's arrays as CuPy takes its own: the emulator, while emulator.emulated() lasts


def launch(name, count, *arguments, real=None, blocks=None, variant=()):
    """Run a kernel on the arrays' device: enough threads for `count` pieces of work, none if there are none.

    arguments  in the order of the kernel's parameters: arrays, None for an optional pointer, Python numbers
    real       what REAL stands for, float32 or float64; looked up among the arrays if it is None
    blocks     the number of blocks, where the kernel has its own idea of it
    variant    one of the kernel's variants, see indices and packs
    Raises: TypeError or ValueError that names the kernel, the parameter and what is wrong with it.
    """
    kernel = KERNELS[name]
    if len(arguments) != len(kernel.parameters):
        raise TypeError(f"{name} has {len(kernel.parameters)} parameters; got {len(arguments)} arguments")
    real = _real(kernel, arguments) if real is None else np.dtype(real)
    device, xp = _device(kernel, arguments)
    checked = _checked(kernel, arguments, real)
    _fits_variant(kernel, arguments, variant)
    if count <= 0:
        return
    blocks = grid(count) if blocks is None else blocks
    if not 1 <= blocks <= GRID_LIMIT:
        raise ValueError(f"{name}: a grid has 1 to {GRID_LIMIT} blocks; got {blocks}")
    with device:
        function = compiled(xp, kernel.source, REALS[real], device.id, variant).get_function(name)
        function((blocks,), (THREADS,), checked)


def contiguous(array):
    """The array in one run of memory, copied if need be; None stays None."""
    return None if array is None else get_array_module(array).ascontiguousarray(array)


def grid(count):
    """How many blocks `count` pieces of work are dealt out to."""
    return min(-(-count // THREADS), MOST_BLOCKS)


def walkers(count):
    """How many blocks a kernel gets whose threads divide once and then walk (odometer.cuh): each has a long way."""
    return min(grid(count), WALKERS)


def indices(*sizes):
    """The definition that makes a kernel's indices 32 bits wide, if all `sizes` allow it; else none.

    A thread of the last round steps over the end once more. So there must be room for the largest step.
    """
    return (INT,) if max(sizes) <= np.iinfo(np.int32).max - (1 << 16) * THREADS else ()


def packs(run, *arrays):
    """The definition that makes a kernel move 16 bytes at a time, if they lie so; else none.

    run   how many numbers lie side by side for certain: packs must not reach from one run into the next
    """
    whole = run * arrays[0].itemsize % PACK_BYTES == 0
    return (PACKED,) if whole and not any(address(array) % PACK_BYTES for array in arrays) else ()


def address(array):
    """Where the array begins in its device's memory."""
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


@functools.cache
def compiled(xp, source, real, device_id, variant=()):
    """The module of one source for one meaning of REAL, compiled at its first use on a device, then kept."""
    return xp.RawModule(code=text(source), options=options(real, variant))


def options(real, variant=()):
    """What the compiler is told."""
    return ("-std=c++17", f"-DREAL={real}", *(f"-D{definition}" for definition in variant))


@functools.cache
def text(source):
    """A source with what it includes written in place, each header once: CuPy's cache then sees every change. Messages
    of a compiler still name the file and its line."""
    seen, lines = set(), [f'#line 1 "{source}"']
    for number, line in enumerate(_lines(source), start=1):
        header = re.fullmatch(r'#include "(\w+\.cuh)"', line)
        if header is None:
            lines.append(line)
        elif header[1] not in seen:
            seen.add(header[1])
            body = ["" if line == "#pragma once" else line for line in _lines(header[1])]
            lines += [f'#line 1 "{header[1]}"', *body, f'#line {number + 1} "{source}"']
    return "\n".join(lines) + "\n"


def _lines(name):
    return (SOURCES / name).read_text(encoding="utf-8").splitlines()


def _pointers(kernel, arguments):
    """(parameter, array) for each array given."""
    pairs = zip(kernel.parameters, arguments)
    return [(parameter, array) for parameter, array in pairs if parameter.pointer and array is not None]


def _real(kernel, arguments):
    for parameter, array in _pointers(kernel, arguments):
        if parameter.type == "REAL":
            if array.dtype not in REALS:
                raise TypeError(f"{kernel.name}: {parameter.name} is float32 or float64; got {array.dtype}")
            return array.dtype
    return np.dtype(np.float32)  # no array depends on it


def _device(kernel, arguments):
    """The device of the arrays and their module; all lie on one."""
    arrays = [array for _, array in _pointers(kernel, arguments)]
    xp = get_array_module(*arrays)
    if xp is np and HOST is None:
        raise TypeError(f"{kernel.name}: kernels run on arrays of the GPU; got NumPy's")
    if xp is np:
        return HOST.Device(), HOST
    devices = {array.device.id: array.device for array in arrays}
    if len(devices) != 1:
        raise ValueError(f"{kernel.name}: the arrays lie on different GPUs, {sorted(devices)}")
    return next(iter(devices.values())), xp


def _fits_variant(kernel, arguments, variant):
    """Refuse arrays that this variant of the kernel would read wrongly."""
    if variant not in kernel.variants:
        raise ValueError(f"{kernel.name} has the variants {kernel.variants}; got {variant}")
    for parameter, array in _pointers(kernel, arguments) if variant else ():
        if INT in variant and not indices(array.size):
            raise ValueError(f"{kernel.name}: {parameter.name} has too many numbers for 32-bit indices: {array.size}")
        if PACKED in variant and address(array) % PACK_BYTES:
            raise ValueError(f"{kernel.name}: {parameter.name} must begin at a multiple of {PACK_BYTES} bytes")


def _checked(kernel, arguments, real):
    """The arguments as CuPy must get them: arrays as they are, numbers with the width of the parameter."""
    checked = []
    for parameter, argument in zip(kernel.parameters, arguments):
        dtype = real if parameter.type == "REAL" else DTYPES[parameter.type]
        check = _array if parameter.pointer else _number
        checked.append(check(f"{kernel.name}: {parameter.name}", parameter, argument, dtype))
    return tuple(checked)


def _array(where, parameter, array, dtype):
    if array is None and parameter.optional:
        return None
    if array is None:
        raise TypeError(f"{where} is an array; got None")
    if array.dtype != dtype:
        raise TypeError(f"{where} has dtype {dtype}; got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{where} must be contiguous, because a kernel sees no strides; got {array.shape}, {array.strides}"
        )
    return array


def _number(where, parameter, number, dtype):
    if dtype.kind == "f" and isinstance(number, float | int | np.number):
        return dtype.type(number)
    if not isinstance(number, int | np.integer):
        raise TypeError(f"{where} is a number of type {parameter.type}; got {number!r}")
    limits = np.iinfo(dtype)
    if not limits.min <= number <= limits.max:
        raise ValueError(f"{where} fits into {parameter.type}; got {number}")
    return dtype.type(number)
