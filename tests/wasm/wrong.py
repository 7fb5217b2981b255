"""A test that fails in Pyodide and nowhere else: indices of 64 bits. test_wasm.py sees to it that this is noticed."""

import numpy as np


def test_wide_indices():
    assert np.bincount(np.int64([0, 1, 1])).tolist() == [1, 2]
