"""Python in a browser: CPython compiled to 32-bit WebAssembly (Pyodide). It has one thread and starts no processes.

The platform's name is the same in Node, where the tests run. NumPy's index type np.intp has 32
bits there. So np.bincount and `take` refuse int64, and arrays of indices are cast with `astype(np.intp)`. On 64 bits
this changes nothing.
"""

import sys

from fcn_from_scratch.checks import InputError

IN_BROWSER = sys.platform == "emscripten"

if IN_BROWSER:
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # otherwise the first bar tries to start a thread, and warns that it cannot


def needs_processes(what, instead):
    """Refuse what needs a second process.

    what     for example "fcn bench"
    instead  what the user can do instead, as an imperative: "run it on your computer"
    Raises: InputError in a browser; elsewhere nothing happens.
    """
    if IN_BROWSER:
        raise InputError(f"{what} starts a process of its own, which a browser does not allow: {instead}")
