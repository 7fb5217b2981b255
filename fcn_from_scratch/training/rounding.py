"""What decides how the sums of a run are rounded.

With the same of these, a run that goes on gives the same bits as one without a break, on any number of cores. With
others it gives the same numbers only up to rounding: one rounded bit grows over the steps of a training.
"""

import os

import numpy as np

from fcn_from_scratch import backend
from fcn_from_scratch.engine import threads


def facts(device):
    """name -> value, for JSON."""
    found = {"NumPy": np.__version__, "BLAS": threads.blas_kernel(), "device": device, "plain": backend.is_plain()}
    if not threads.steers_blas():  # it divides its products among the cores by itself
        found["cores"] = os.cpu_count()
    return found


def changed(saved, now):
    """Each fact that differs from the saved one, in words, as a list. Facts that were not saved are not compared."""
    if not isinstance(saved, dict):
        return []
    differ = [name for name in now if saved.get(name, now[name]) != now[name]]
    return [f"{name} is {now[name]} here, {saved[name]} there" for name in differ]
