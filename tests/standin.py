"""A stand-in for CuPy on a machine without a GPU: another kind of array, with NumPy inside.

It shows that code follows the array's own module. Its arrays wrap NumPy's and are no subclass of them; what
fails with CuPy fails here too:

- an operation between one of these and a NumPy array is a TypeError, from either side
- np.asarray(x), and with it most of NumPy's functions, is a TypeError; x.get() and asnumpy(x) lead back
- what CuPy 14 lacks is missing: block, insert, errstate, the keywords `where` and `initial` of reductions,
  most methods of ufuncs, Generator.normal and .permutation, and so on
- a reduction gives a 0-d array, not a scalar; `empty` is filled with rubbish, not with lucky zeros

Stricter than CuPy: NumPy arrays are refused as an index too (CuPy copies them to the GPU without a word).
It cannot show rounding, the order of floating-point sums, or what an index out of range does.
"""

import operator
from types import SimpleNamespace

import numpy as np

ABSENT = """asmatrix block bmat ctypeslib einsum_path errstate frompyfunc geomspace histogram_bin_edges insert
longdouble matrix matvec memmap ma nanpercentile nanquantile ndenumerate nditer nested_iters object_ spacing
strings unstack vecdot vecmat"""
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISONS = "lt le gt ge eq ne"
UNARY = "neg pos abs invert"
CONVERSIONS = {"len": len, "bool": bool, "int": int, "float": float, "index": operator.index}
ABSENT_METHODS = {"ctypes", "getfield", "resize", "setfield", "setflags", "to_device"}
ABSENT_KEYWORDS = {"where", "initial", "subok", "writeable", "like", "device"}
UFUNC_METHODS = {"reduce": {"add", "multiply"}, "accumulate": {"add", "multiply"}, "at": {"add", "maximum"}}
GENERATOR_METHODS = {"random", "integers", "uniform", "standard_normal", "beta", "gamma", "exponential"}


class ndarray:
    """An array on the pretended device."""

    __array_ufunc__ = None  # host_array + x then asks x, which refuses
    __hash__ = None

    def __init__(self, host):
        self._host = host

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use .get()")

    def __getattr__(self, name):
        if name in ABSENT_METHODS or name.startswith("__"):
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        value = getattr(self._host, name)
        return function(value, name) if callable(value) else wrap(value)

    def __getitem__(self, key):
        return wrap(self._host[unwrap(key)])

    def __setitem__(self, key, value):
        self._host[unwrap(key)] = unwrap(value)

    def __iter__(self):
        return map(wrap, self._host)

    def get(self):
        return self._host.copy(order="K")

    def item(self, *args):
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


def function(host_function, name):
    """NumPy's function or method for wrapped arrays, without the keywords that CuPy has not."""

    def call(*args, **kwargs):
        for keyword in kwargs:
            if keyword in ABSENT_KEYWORDS or (name, keyword) == ("take", "mode"):
                raise TypeError(f"cupy.{name}() got an unexpected keyword argument {keyword!r}")
        result = host_function(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()})
        return wrap(result) if kwargs.get("out") is None else kwargs["out"]

    return call


class Ufunc:
    """A ufunc of NumPy's: callable, with the few methods that CuPy's have."""

    def __init__(self, host_ufunc):
        self._host, self._call = host_ufunc, function(host_ufunc, host_ufunc.__name__)

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def __getattr__(self, method):
        if self._host.__name__ not in UFUNC_METHODS.get(method, ()):
            raise AttributeError(f"cupy.{self._host.__name__} has no {method}")
        return function(getattr(self._host, method), method)


def _binary(operation, reflected=False):
    if reflected:
        return lambda self, other: wrap(operation(unwrap(other), self._host))
    return lambda self, other: wrap(operation(self._host, unwrap(other)))


def _in_place(operation):
    def method(self, other):
        self._host = operation(self._host, unwrap(other))
        return self

    return method


def _unary(operation):
    return lambda self: wrap(operation(self._host))


for _name in BINARY.split():
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, f"__{_name}__")))
    setattr(ndarray, f"__r{_name}__", _binary(getattr(operator, f"__{_name}__"), reflected=True))
    setattr(ndarray, f"__i{_name}__", _in_place(getattr(operator, f"__i{_name}__")))
for _name in COMPARISONS.split():
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, f"__{_name}__")))
for _name in UNARY.split():
    setattr(ndarray, f"__{_name}__", _unary(getattr(operator, f"__{_name}__")))
for _name, _convert in CONVERSIONS.items():
    setattr(ndarray, f"__{_name}__", _unary(_convert))  # numbers, which wrap leaves alone
ndarray.__repr__ = lambda self: f"standin.{self._host!r}"


# --- the module's own functions; the others are NumPy's, wrapped -----------------------------------------


def asnumpy(array):
    return array.get() if isinstance(array, ndarray) else np.asarray(array)


def asarray(array, dtype=None):
    """To the device from anywhere."""
    if isinstance(array, ndarray):
        return array if dtype in (None, array.dtype) else array.astype(dtype)
    return ndarray(np.array(array, dtype))


array = asarray


def empty(shape, dtype=float):
    host = np.empty(shape, dtype)
    host.reshape(-1).view(np.uint8)[:] = 0xFF  # NaN, -1 or 255: what nobody wrote must show
    return ndarray(host)


def empty_like(array, dtype=None):
    return empty(array.shape, array.dtype if dtype is None else dtype)


class Generator:
    def __init__(self, seed=None):
        self._host = np.random.default_rng(seed)

    def __getattr__(self, name):
        if name not in GENERATOR_METHODS:
            raise AttributeError(f"cupy.random.Generator has no attribute {name!r}")
        return function(getattr(self._host, name), name)


def __getattr__(name):
    if name in ABSENT.split() or name.startswith("_"):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    value = getattr(np, name)
    if isinstance(value, np.ufunc):
        return Ufunc(value)
    return function(value, name) if callable(value) and not isinstance(value, type) else value


random = SimpleNamespace(default_rng=Generator)
cuda = SimpleNamespace(is_available=lambda: True)
_tricks = np.lib.stride_tricks
lib = SimpleNamespace(
    stride_tricks=SimpleNamespace(
        as_strided=function(_tricks.as_strided, "as_strided"),
        sliding_window_view=function(_tricks.sliding_window_view, "sliding_window_view"),
    )
)
