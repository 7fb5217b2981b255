"""CUDA kernels on the CPU: this module builds a kernel's source with g++ and runs it on NumPy arrays.

The kernels are tested this way on a machine without a GPU, and studied this way in lesson 16. Nothing is trained with
it. RawModule and Device are the parts of CuPy that launch.py needs; emulator.h and emulator.cpp hold the C++ half.
Each source is built once. The library is kept in FCN_EMU_CACHE or the user's cache folder, under a hash of everything
that went into it.

ORDER     0: blocks and threads run in ascending order; 1: descending; other numbers: shuffled, each in its own way. A
          GPU promises no order, so every order must give the same result
BLOCKS    the slice of a grid's blocks that run. Only tests of arrays larger than the memory leave blocks out
SANITIZE  extra flags, from FCN_EMU_SANITIZE, for tests/tools/sanitize.py

Undefined behaviour (an int that overflows, an index outside a shared array, a shift by 64) is always an error.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from fcn_from_scratch.kernels import launch

HERE = Path(__file__).parent
ORDER = 0
BLOCKS = slice(None)
SANITIZE = os.environ.get("FCN_EMU_SANITIZE", "").split()
WATCH_THREADS = "-fsanitize=thread" in SANITIZE
COMPILER = "g++"
FLAGS = ["-std=c++17", "-O1", "-g1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
UNDEFINED = ["-fsanitize=undefined", "-fsanitize-recover=undefined", "-fno-sanitize=vptr"]

_one_launch_at_a_time = threading.Lock()  # there is only one threadIdx, one blockIdx, ...


class _Parameter(ctypes.Structure):
    _fields_ = (("word", ctypes.c_char_p), ("pointer", ctypes.c_bool), ("constant", ctypes.c_bool))


class _Entry(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("body", ctypes.c_void_p),
        ("parameters", ctypes.POINTER(_Parameter)),
        ("count", ctypes.c_int),
    )


class Module:
    """The kernels of one source text.

    options  those that CuPy would get; only the definitions (-DREAL=float) are used
    """

    def __init__(self, code, options):
        self._runtime = runtime()
        self._library = ctypes.CDLL(str(build(code, tuple(options))))
        # Threads that share memory run side by side, each on its own stack. Others run one after the other: faster.
        self._side_by_side = "__shared__" in code or "__syncthreads" in code or WATCH_THREADS
        entries = (_Entry * len(_names(code))).in_dll(self._library, "emu_entries")
        self._entries = {entry.name.decode(): entry for entry in entries}
        shared = ctypes.c_void_p.in_dll(self._library, "emu_shared_begin")
        self._shared = shared.value, ctypes.c_size_t.in_dll(self._library, "emu_shared_bytes").value

    def signature(self, name):
        """The kernel's parameters as the compiler sees them: a list of (type in C, is a pointer, points to const)."""
        entry = self._entries[name]
        return [(p.word.decode(), p.pointer, p.constant) for p in entry.parameters[: entry.count]]

    def run(self, name, blocks, threads, arguments):
        """Run a kernel on NumPy arrays and scalars. Arguments that do not fit the signature are a TypeError."""
        signature = self.signature(name)
        if len(arguments) != len(signature):
            raise TypeError(f"{name} has {len(signature)} parameters; got {len(arguments)} arguments")
        values = [_value(name, number, a, *s) for number, (a, s) in enumerate(zip(arguments, signature))]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        body = ctypes.c_void_p(self._entries[name].body)
        first, stop, _ = BLOCKS.indices(blocks)
        how = blocks, threads, first, stop, ORDER, self._side_by_side
        with _one_launch_at_a_time:
            if self._runtime.emu_launch(*how, body, pointers, *self._shared):
                raise RuntimeError(f"{name}: {self._runtime.emu_message().decode()}")


def _value(name, number, argument, word, pointer, constant):
    """The argument as an array of one element that a C pointer can point to."""
    where = f"{name}: argument {number}"
    if pointer:
        if argument is None:
            return np.zeros(1, np.uintp)
        if not isinstance(argument, np.ndarray):
            raise TypeError(f"{where} is an array of {word}; got {argument!r}")
        if argument.dtype != launch.DTYPES[word] or not argument.flags.c_contiguous:
            raise TypeError(f"{where} is a contiguous array of {word}; got {argument.dtype} {argument.strides}")
        return np.array([argument.ctypes.data], np.uintp)
    if not isinstance(argument, np.generic) or argument.dtype != launch.DTYPES[word]:
        raise TypeError(f"{where} is a {word}, as a NumPy scalar; got {argument!r}")
    return np.array([argument])


# --- in CuPy's place ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def emulated(order=0):
    """Inside this context the functions of `kernels` take NumPy's arrays and run in the emulator.

    order  the order of the threads: see ORDER
    Raises: RuntimeError at the first launch when there is no compiler (`missing` says so beforehand).
    """
    global ORDER
    before, ORDER, launch.HOST = (ORDER, launch.HOST), order, sys.modules[__name__]
    try:
        yield
    finally:
        ORDER, launch.HOST = before


class Device:
    """The one device that there is."""

    id = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None


class RawModule:
    """cupy.RawModule, as far as launch.py needs it."""

    def __init__(self, *, code, options=()):
        if not isinstance(code, str) or not isinstance(options, tuple):
            raise TypeError("code is a string and options are a tuple")
        self._module = Module(code, options)

    def get_function(self, name):
        def function(grid, block, arguments):
            if not all(isinstance(given, tuple) for given in (grid, block, arguments)):
                raise TypeError("grid, block and the arguments are tuples")
            self._module.run(name, *grid, *block, arguments)

        return function


# --- building -------------------------------------------------------------------------------------------------------


def missing():
    """A sentence that says why nothing can be built on this machine, or None."""
    return None if shutil.which(COMPILER) else f"no {COMPILER} on this machine: the kernels cannot be emulated"


@functools.cache
def cache():
    """The folder for the libraries. Where the user's cache cannot be written, it is a folder for this run only."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fcn_from_scratch" / "emulator"
    folder = Path(os.environ.get("FCN_EMU_CACHE") or default)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="fcn-emulator-"))
    return folder


@functools.cache
def runtime():
    """The loaded runtime, visible to every kernel's library."""
    source = (HERE / "emulator.cpp").read_text(encoding="utf-8")
    # ThreadSanitizer must not watch the runtime itself, which writes threadIdx for all threads. The runtime only tells
    # the sanitizer which thread is running.
    watched = ["-DEMU_TSAN"] if WATCH_THREADS else []
    library = ctypes.CDLL(str(_compile("runtime", source, ["-O2", *watched])), mode=ctypes.RTLD_GLOBAL)
    library.emu_message.restype = ctypes.c_char_p
    library.emu_launch.argtypes = [ctypes.c_uint] * 4 + [ctypes.c_int] * 2 + [ctypes.c_void_p] * 3 + [ctypes.c_size_t]
    return library


def build(code, options):
    """Build the shared library of a kernel source.

    The C++ text is our header, then the source without CUDA's linkage words, then a table of its kernels.
    """
    names = _names(code)
    driver = "\n".join(
        [
            '#include "emulator.h"',
            code.replace('extern "C" __global__', "__global__"),
            '#define SEEN __attribute__((visibility("default")))',
            'extern "C" { SEEN extern const EmuEntry emu_entries[]; SEEN extern char* const emu_shared_begin;',
            "SEEN extern const size_t emu_shared_bytes; }",
            f"const EmuEntry emu_entries[] = {{{', '.join(f'EMU_ENTRY({name})' for name in names)}}};",
            "char* const emu_shared_begin = __start_emu_shared;",
            "const size_t emu_shared_bytes = __stop_emu_shared - __start_emu_shared;",
        ]
    )
    definitions = [option for option in options if option.startswith("-D")]
    return _compile(names[0], driver, ["-fvisibility=hidden", *definitions, *UNDEFINED, *SANITIZE])


def _names(code):
    return re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(', code)


def _compile(stem, source, flags):
    """Compile a C++ text to a library, or take the library from the cache."""
    if missing():
        raise RuntimeError(missing())
    header = (HERE / "emulator.h").read_text(encoding="utf-8")
    command = [COMPILER, *FLAGS, *flags, f"-I{HERE}"]
    key = hashlib.sha256("\0".join([source, header, _version(), *command]).encode()).hexdigest()[:16]
    library = cache() / f"{stem}-{key}.so"
    if not library.exists():
        temporary = library.with_suffix(f".{os.getpid()}.cpp")
        temporary.write_text(source, encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, str(temporary), "-o", f"{temporary}.so"], capture_output=True, encoding="utf-8", check=False
            )
            if done.returncode:
                raise RuntimeError(f"{COMPILER} refuses {stem}:\n{done.stderr}")
            os.replace(f"{temporary}.so", library)
        finally:
            temporary.unlink()
    return library


@functools.cache
def _version():
    return subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout
