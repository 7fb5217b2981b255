"""Compiling the CUDA sources beside this file, and launching their kernels with every argument checked.

CuPy passes on whatever it is given: an array of another dtype, a transposed view or an integer of another width is
read as if it were what the kernel expects, and the result is rubbish or memory overwritten. So each launch is compared
with the kernel's declared parameters (kernels.table) first. A complaint here is a mistake in this package.

A step of training launches hundreds of kernels, and while the host checks one, the GPU may have nothing to do. A
network repeats its launches with the same numbers. So what is known of a kernel, and of numbers that it was given
before, is kept.
"""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.table import INT, KERNELS, PACKED, Kernel

SOURCES = Path(__file__).parent
THREADS = 256  # of a block; BLOCK in reduce.cuh
MOST_BLOCKS = 1 << 16  # the grid-stride loop takes what is left over; enough to fill any GPU many times
WALKERS = 1 << 12  # blocks of a kernel whose threads walk
PACK_BYTES = 16  # Pack in common.cuh: the most that a thread reads or writes at once
MOST_INDEX = np.iinfo(np.int32).max - MOST_BLOCKS * THREADS  # see indices
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
    plan = _plan(name)
    if len(arguments) != plan.count:
        raise TypeError(f"{name} has {plan.count} parameters; got {len(arguments)} arguments")
    arrays = arguments[: len(plan.pointers)]
    real = _real(name, plan, arrays) if real is None else np.dtype(real)
    device, xp = _device(name, plan, arrays)
    for pointer, array in zip(plan.pointers, arrays):
        _check_array(name, pointer, array, real)
    numbers = _known_numbers(name, real, arguments[len(plan.pointers) :])
    if variant:
        _fits_variant(plan.kernel, arrays, variant)
    if count <= 0:
        return
    blocks = grid(count) if blocks is None else blocks
    if not 1 <= blocks <= GRID_LIMIT:
        raise ValueError(f"{name}: a grid has 1 to {GRID_LIMIT} blocks; got {blocks}")
    with device:
        function = compiled(xp, plan.kernel.source, REALS[real], device.id, variant).get_function(name)
        function((blocks,), (THREADS,), (*arrays, *numbers))


class Plan(NamedTuple):
    """What is known of a kernel's arguments: the arrays come first, then the numbers."""

    kernel: Kernel
    count: int
    pointers: tuple


@functools.cache
def _plan(name):
    kernel = KERNELS[name]
    return Plan(kernel, len(kernel.parameters), tuple(p for p in kernel.parameters if p.pointer))


def contiguous(array):
    """The array in one run of memory, copied if need be; None stays None."""
    return None if array is None else get_array_module(array).ascontiguousarray(array)


def grid(count):
    """How many blocks `count` pieces of work are dealt out to."""
    return min(-(-count // THREADS), MOST_BLOCKS)


def walkers(count):
    """How many blocks a kernel gets whose threads divide once and then walk (odometer.cuh): each has a long way."""
    return min(grid(count), WALKERS)


def tile_grid(tiles):
    """How many blocks a kernel gets whose blocks make a tile each."""
    return min(tiles, MOST_BLOCKS)


def indices(*sizes):
    """The definition that makes a kernel's indices 32 bits wide, if all `sizes` allow it; else none.

    A thread of the last round steps over the end once more. So there must be room for the largest step.
    """
    return (INT,) if max(sizes) <= MOST_INDEX else ()


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
    return _Module(xp.RawModule(code=text(source), options=options(real, variant)))


class _Module:
    """A RawModule that makes the object of each kernel once. CuPy's makes a new one at every call."""

    def __init__(self, raw):
        self._raw, self._functions = raw, {}

    def get_function(self, name):
        found = self._functions.get(name)
        if found is None:
            found = self._functions[name] = self._raw.get_function(name)
        return found


def options(real, variant=()):
    """What the compiler is told: nothing that gives up accuracy for speed.

    Divisions and roots round as IEEE 754 says. A product and a sum may become one operation with one rounding (fmad),
    so the bits need not be the emulator's. CuPy itself adds -ftz=true: float32 numbers below 1.2e-38 become 0.
    """
    return ("-std=c++17", f"-DREAL={real}", "--fmad=true", *(f"-D{definition}" for definition in variant))


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


def _real(name, plan, arrays):
    """The dtype that REAL stands for: that of the first array of such numbers."""
    for pointer, array in zip(plan.pointers, arrays):
        if pointer.type == "REAL" and array is not None:
            if array.dtype not in REALS:
                raise TypeError(f"{name}: {pointer.name} is float32 or float64; got {array.dtype}")
            return array.dtype
    return np.dtype(np.float32)  # no array depends on it


def _device(name, plan, arrays):
    """The device of the arrays and their module; all lie on one."""
    xp = get_array_module(*arrays)
    if xp is np and HOST is None:
        raise TypeError(f"{name}: kernels run on arrays of the GPU; got NumPy's")
    if xp is np:
        return HOST.Device(), HOST
    devices = [array.device for array in arrays if array is not None]
    if any(device.id != devices[0].id for device in devices):
        found = sorted({device.id for device in devices})
        raise ValueError(f"{name}: the arrays lie on different GPUs, {found}")
    return devices[0], xp


def _check_array(name, pointer, array, real):
    """Refuse what the kernel would read as something else."""
    if array is None:
        if pointer.optional:
            return
        raise TypeError(f"{name}: {pointer.name} is an array; got None")
    dtype = real if pointer.type == "REAL" else DTYPES[pointer.type]
    if array.dtype != dtype:
        raise TypeError(f"{name}: {pointer.name} has dtype {dtype}; got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: {pointer.name} must be contiguous, because a kernel sees no strides; got {array.shape}, "
            f"{array.strides}"
        )


def _fits_variant(kernel, arrays, variant):
    """Refuse arrays that this variant of the kernel would read wrongly."""
    if variant not in kernel.variants:
        raise ValueError(f"{kernel.name} has the variants {kernel.variants}; got {variant}")
    given = ((parameter, array) for parameter, array in zip(kernel.parameters, arrays) if array is not None)
    for parameter, array in given:
        if INT in variant and not indices(array.size):
            raise ValueError(f"{kernel.name}: {parameter.name} has too many numbers for 32-bit indices: {array.size}")
        if PACKED in variant and address(array) % PACK_BYTES:
            raise ValueError(f"{kernel.name}: {parameter.name} must begin at a multiple of {PACK_BYTES} bytes")


def _known_numbers(name, real, given):
    """The numbers as CuPy must get them, looked up among those of earlier launches."""
    try:
        return _numbers(name, real, *given)
    except TypeError:  # one of them cannot be looked up: it is no number, and the next line says so
        return _numbers.__wrapped__(name, real, *given)


@functools.lru_cache(maxsize=4096, typed=True)  # typed: 6.0 is not 6
def _numbers(name, real, *given):
    """The numbers as CuPy must get them: with the width of the parameter."""
    parameters = KERNELS[name].parameters[-len(given) :] if given else ()
    return tuple(
        _number(f"{name}: {p.name}", p, number, real if p.type == "REAL" else DTYPES[p.type])
        for p, number in zip(parameters, given)
    )


def _number(where, parameter, number, dtype):
    if dtype.kind == "f" and isinstance(number, float | int | np.number):
        return dtype.type(number)
    if not isinstance(number, int | np.integer):
        raise TypeError(f"{where} is a number of type {parameter.type}; got {number!r}")
    limits = np.iinfo(dtype)
    if not limits.min <= number <= limits.max:
        raise ValueError(f"{where} fits into {parameter.type}; got {number}")
    return dtype.type(number)
