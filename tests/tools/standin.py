"""A stand-in for CuPy on a machine without a GPU: another kind of array, with NumPy inside.

It shows that code follows the array's own module. Its arrays wrap NumPy's and are no subclass of them; what
fails with CuPy fails here too:

- an operation between one of these and a NumPy array is a TypeError, from either side
- np.asarray(x), and with it most of NumPy's functions, is a TypeError; x.get() and asnumpy(x) lead back
- what CuPy 14.2 lacks is missing: block, insert, errstate, the keywords `where` and `initial` of reductions, most
  methods of ufuncs, Generator.normal and .permutation, and so on (its names and signatures: kernels/cupy_names.json)
- copies between the host and the device are counted
- a kernel is the real .cu source, compiled for the CPU and run on the wrapped arrays (kernels/emulator.py)
- a reduction gives a 0-d array, not a scalar; `empty` is filled with rubbish, not with lucky zeros
- what is computed element by element lies in C order, in whatever order its operands lie. NumPy's keeps their order, so
  code that was written for NumPy may turn maps round here. Each such copy by ascontiguousarray is counted

Stricter than CuPy: NumPy arrays are refused as an index too (CuPy copies them to the GPU without a word).
It cannot show rounding, the order of floating-point sums, or what an index out of range does. Nor is it asynchronous:
work is done when a call returns, and events note the host's time. But an event's time may be asked for only after
someone has waited for it, as on a GPU.
"""

import contextlib
import inspect
import json
import operator
import time
import warnings
import weakref
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fcn_from_scratch.kernels import emulator

# What the real one has (freeze_cupy.py): functions and their arguments, ufuncs, methods.
CUPY = json.loads((Path(__file__).with_name("cupy_names.json")).read_text(encoding="utf-8"))
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISONS = "lt le gt ge eq ne"
UNARY = "neg pos abs invert"
CONVERSIONS = {"bool": bool, "int": int, "float": float, "index": operator.index}
UFUNC_ARGUMENTS = {"out", "dtype", "casting", "axes", "axis"}
UFUNC_METHODS = {"reduce": {"add", "multiply"}, "accumulate": {"add", "multiply"}, "at": {"add", "maximum"}}

# What happened so far: "to device" and "to host" are copies, "kernels" are launches, ("transposed", shape) are maps
# (4-d arrays) that ascontiguousarray had to copy. Tests clear and read it.
counts = Counter()


class ndarray:
    """An array on the pretended device."""

    __array_ufunc__ = None  # host_array + x then asks x, which refuses
    __hash__ = None

    def __init__(self, host):
        self._host = host

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use .get()")

    def __getattr__(self, name):
        if name not in CUPY["methods"]:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        value = getattr(self._host, name)
        return function(value, name, keywords_only) if callable(value) else wrap(value)

    def __getitem__(self, key):
        return wrap(self._host[unwrap(key)])

    def __setitem__(self, key, value):
        self._host[unwrap(key)] = unwrap(value)

    def __iter__(self):
        return map(wrap, self._host)

    def __len__(self):
        return len(self._host)

    @property
    def device(self):
        return Device()

    @property
    def data(self):
        """The pointer to the array's memory."""
        return SimpleNamespace(ptr=self._host.ctypes.data)

    def get(self):
        counts["to host"] += 1
        return self._host.copy(order="K")

    def item(self, *args):
        counts["to host"] += 1
        return self._host.item(*args)


def wrap(value):
    """What NumPy computed, as what the device would give: arrays, also in place of scalars."""
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    return type(value)(map(wrap, value)) if isinstance(value, tuple | list) else value


def unwrap(value):
    """What NumPy computes with: refuses NumPy's arrays, passes scalars."""
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array met an array of the device")
    if isinstance(value, tuple | list):
        return type(value)(map(unwrap, value))
    return value._host if isinstance(value, ndarray) else value


def fresh(value):
    """The result of a computation element by element: CuPy's lie in C order."""
    return wrap(np.asarray(value, order="C"))


def function(host_function, name, check=None):
    """NumPy's function or method for wrapped arrays; check(name, args, kwargs) refuses what CuPy's does not take."""

    def call(*args, **kwargs):
        if check is not None:
            check(name, args, kwargs)
        result = host_function(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()})
        if kwargs.get("out") is not None:
            return kwargs["out"]
        return fresh(result) if check is ufunc_keywords or name == "where" else wrap(result)

    return call


def fits(name, args, kwargs):
    """The arguments fit CuPy's signature of the function."""
    try:
        _signature(CUPY["functions"][name]).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"cupy.{name}(): {error}") from None


def keywords_only(name, args, kwargs):
    """The keywords of a method are among those of the function of the same name (methods show no signature)."""
    known = CUPY["functions"].get(name)
    for keyword in kwargs:
        if known is not None and keyword not in _signature(known).parameters:
            raise TypeError(f"cupy.ndarray.{name}() got an unexpected keyword argument {keyword!r}")


def ufunc_keywords(name, args, kwargs):
    for keyword in kwargs.keys() - UFUNC_ARGUMENTS:
        raise TypeError(f"cupy.{name}() got an unexpected keyword argument {keyword!r}")


def _signature(text):
    """The signature written as text in cupy_names.json."""
    names = {}
    exec(f"def f{text}: pass", names)
    return inspect.signature(names["f"])


class Ufunc:
    """A ufunc of NumPy's: callable, with the few methods that CuPy's have."""

    def __init__(self, host_ufunc):
        self._host = host_ufunc
        self._call = function(host_ufunc, host_ufunc.__name__, ufunc_keywords)

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def __getattr__(self, method):
        if self._host.__name__ not in UFUNC_METHODS.get(method, ()):
            raise AttributeError(f"cupy.{self._host.__name__} has no {method}")
        return function(getattr(self._host, method), method)


def _binary(operation, reflected=False):
    if reflected:
        return lambda self, other: fresh(operation(unwrap(other), self._host))
    return lambda self, other: fresh(operation(self._host, unwrap(other)))


def _in_place(operation):
    def method(self, other):
        self._host = operation(self._host, unwrap(other))
        return self

    return method


def _unary(operation):
    return lambda self: fresh(operation(self._host))


def _to_number(convert):
    def method(self):
        counts["to host"] += 1
        return convert(self._host)

    return method


for _name in BINARY.split():
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, f"__{_name}__")))
    setattr(ndarray, f"__r{_name}__", _binary(getattr(operator, f"__{_name}__"), reflected=True))
    setattr(ndarray, f"__i{_name}__", _in_place(getattr(operator, f"__i{_name}__")))
for _name in COMPARISONS.split():
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, f"__{_name}__")))
for _name in UNARY.split():
    setattr(ndarray, f"__{_name}__", _unary(getattr(operator, f"__{_name}__")))
for _name, _convert in CONVERSIONS.items():
    setattr(ndarray, f"__{_name}__", _to_number(_convert))
ndarray.__repr__ = lambda self: f"standin.{self._host!r}"


# --- the module's own functions; the others are NumPy's, wrapped -----------------------------------------


def asnumpy(array):
    return array.get() if isinstance(array, ndarray) else np.asarray(array)


def asarray(array, dtype=None, order=None):
    """To the device from anywhere."""
    if isinstance(array, ndarray):
        return array if dtype in (None, array.dtype) else array.astype(dtype)
    counts["to device"] += 1
    return ndarray(np.array(array, dtype, order=_order(array, order or "K")))


def _order(array, order):
    """CuPy keeps no other order of axes than C's and Fortran's on the way to the device."""
    if order not in "KA":
        return order
    return "F" if isinstance(array, np.ndarray) and array.flags.fnc else "C"


array = asarray


def empty(shape, dtype=float):
    host = np.empty(shape, dtype)
    host.reshape(-1).view(np.uint8)[:] = 0xFF  # NaN, -1 or 255: what nobody wrote must show
    get_default_memory_pool().lent(host)
    return ndarray(host)


def zeros(shape, dtype=float):
    array = empty(shape, dtype)
    array._host[...] = 0
    return array


def empty_like(array, dtype=None):
    return empty(array.shape, array.dtype if dtype is None else dtype)


def ascontiguousarray(array, dtype=None):
    if array.ndim == 4 and not array.flags.c_contiguous:
        counts["transposed", array.shape] += 1
    return wrap(np.ascontiguousarray(unwrap(array), dtype))


class Generator:
    def __init__(self, seed=None):
        self._host = np.random.default_rng(seed)

    def __getattr__(self, name):
        if name not in CUPY["generator"]:
            raise AttributeError(f"cupy.random.Generator has no attribute {name!r}")
        return function(getattr(self._host, name), name)


def __getattr__(name):
    if name in CUPY["functions"]:
        return function(getattr(np, name), name, fits)
    if name in CUPY["ufuncs"]:
        return Ufunc(getattr(np, name))
    if name in CUPY["others"]:
        return getattr(np, name)
    raise AttributeError(f"module 'cupy' has no attribute {name!r}")


# --- the device, and kernels on it ------------------------------------------------------------------------------


MEMORY = 64 << 20, 1 << 30  # bytes of it that are free, and all


class Device(emulator.Device):
    mem_info = MEMORY


class Event:
    """A mark in the queue of work."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._at, self._waited = None, False

    def record(self, stream=None):
        self._at, self._waited = time.perf_counter(), False

    def synchronize(self):
        counts["synchronize"] += 1
        self._waited = True

    @property
    def done(self):
        return True


def get_elapsed_time(start_event, end_event):
    """In milliseconds."""
    if start_event._at is None or end_event._at is None:
        raise RuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    if not end_event._waited:
        raise RuntimeError("cudaErrorNotReady: device not ready")
    return 1000 * (end_event._at - start_event._at)


class MemoryHook:
    """Is told of every array that `empty` makes, the only one that can count here."""

    name = "MemoryHook"
    hooks = {}  # noqa: RUF012  those inside their with block, by name

    def __enter__(self):
        if self.name in self.hooks:
            raise KeyError(f"memory hook {self.name} already exists")
        self.hooks[self.name] = self
        return self

    def __exit__(self, *_):
        del self.hooks[self.name]

    def malloc_postprocess(self, **kwargs):
        pass


class MemoryPool:
    """Bytes of the living arrays of `empty` and `zeros`, and of those whose memory is kept for the next ones."""

    def __init__(self):
        self._alive = self._held = self._limit = 0

    def lent(self, array):
        held = max(self._held, self._alive + array.nbytes)
        if 0 < self._limit < held:
            raise MemoryError(
                f"Out of memory allocating {array.nbytes:,} bytes (allocated so far: {self._held:,} bytes, limit set "
                f"to: {self._limit:,} bytes)."
            )
        self._alive, self._held = self._alive + array.nbytes, held
        weakref.finalize(array, self._returned, array.nbytes)
        for hook in MemoryHook.hooks.values():
            hook.malloc_postprocess(device_id=0, size=array.nbytes, mem_size=array.nbytes, mem_ptr=1, pmem_id=1)

    def _returned(self, count):
        self._alive -= count

    def used_bytes(self):
        return self._alive

    def total_bytes(self):
        return self._held

    def free_all_blocks(self):
        self._held = self._alive

    def set_limit(self, size=None, fraction=None):
        self._limit = size


_pool = MemoryPool()


def get_default_memory_pool():
    return _pool


class RawModule(emulator.RawModule):
    """Kernels from their source, run by the emulator; arrays reach them as they would on a GPU."""

    def __init__(self, *, code, options=()):
        if emulator.missing():
            pytest.skip(emulator.missing())
        super().__init__(code=code, options=options)

    def get_function(self, name):
        function = super().get_function(name)

        def launch(grid, block, arguments):
            counts["kernels"] += 1
            function(grid, block, unwrap(arguments))

        return launch


@contextlib.contextmanager
def allow_synchronize(allow):
    """cupyx.allow_synchronize, and the warning that comes with it; a copy to the host is found when it is over."""
    warnings.warn("cupyx.allow_synchronize will be removed in future releases", stacklevel=3)
    before = counts["to host"]
    yield
    if not allow and counts["to host"] > before:
        raise RuntimeError("Device synchronization was detected while disallowed.")


__version__ = CUPY["version"]
cupyx = SimpleNamespace(allow_synchronize=allow_synchronize)
random = SimpleNamespace(default_rng=Generator)
cuda = SimpleNamespace(
    is_available=lambda: True,
    Device=Device,
    Event=Event,
    MemoryHook=MemoryHook,
    get_elapsed_time=get_elapsed_time,
    runtime=SimpleNamespace(
        getDeviceProperties=lambda device: {"name": b"a stand-in for a GPU", "totalGlobalMem": MEMORY[1]},
        getDeviceCount=lambda: 1,
        driverGetVersion=lambda: 12040,
        runtimeGetVersion=lambda: 12090,
    ),
)
_tricks = np.lib.stride_tricks
lib = SimpleNamespace(
    stride_tricks=SimpleNamespace(
        as_strided=function(_tricks.as_strided, "as_strided", fits),
        sliding_window_view=function(_tricks.sliding_window_view, "sliding_window_view", fits),
    )
)
