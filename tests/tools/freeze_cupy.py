"""Writes cupy_names.json: what CuPy has, as far as NumPy has it too, and which arguments it takes.

python tests/tools/freeze_cupy.py      where CuPy is installed; it needs no GPU for this

tests/tools/standin.py refuses what is not in the file, so that code which runs with the stand-in finds the same
functions in CuPy, with the same arguments. Defaults are left out: whether there is one is all that matters.
"""

import inspect
import json
from pathlib import Path

import cupy
import numpy as np

STRIDE_TRICKS = ("as_strided", "sliding_window_view")
FILE = Path(__file__).with_name("cupy_names.json")


def arguments(function):
    """A function's parameters as Python source, every default written as `...`."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function of C's that does not tell
        return "(*args, **kwargs)"
    plain = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else ...)
        for p in signature.parameters.values()
    ]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty)).replace("Ellipsis", "...")


def public(thing):
    return [name for name in dir(thing) if not name.startswith("_")]


def main():
    shared = {name: getattr(cupy, name) for name in sorted(set(public(cupy)) & set(public(np)))}
    functions = {name: arguments(f) for name, f in shared.items() if inspect.isroutine(f)}
    functions |= {name: arguments(getattr(cupy.lib.stride_tricks, name)) for name in STRIDE_TRICKS}
    ufuncs = [name for name, value in shared.items() if hasattr(value, "nout") or name == "matmul"]
    names = {
        "version": cupy.__version__,
        "functions": functions,
        "ufuncs": ufuncs,
        "others": [name for name, value in shared.items() if not callable(value) or isinstance(value, type)],
        "methods": public(cupy.ndarray),
        "cuda": {
            "module": public(cupy.cuda),
            "runtime": [name for name in public(cupy.cuda.runtime) if callable(getattr(cupy.cuda.runtime, name))],
            **{name: public(getattr(cupy.cuda, name)) for name in ("Device", "Event", "MemoryHook", "MemoryPool")},
        },
        "generator": {name: arguments(getattr(cupy.random.Generator, name)) for name in public(cupy.random.Generator)},
    }
    FILE.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {len(functions)} functions, {len(names['ufuncs'])} ufuncs of CuPy {cupy.__version__}")


if __name__ == "__main__":
    main()
