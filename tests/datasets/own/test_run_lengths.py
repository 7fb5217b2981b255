"""COCO's run lengths, against its published algorithm written out as slow loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from slow_run_lengths import slow_counts, slow_text

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own import run_lengths

SMALL = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(arrays(bool, SMALL))
def test_both_encodings_give_the_mask(mask):
    counts = slow_counts(mask)
    np.testing.assert_array_equal(run_lengths.mask(counts, mask.shape), mask)
    np.testing.assert_array_equal(run_lengths.mask(slow_text(counts), mask.shape), mask)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_long_runs_are_decompressed(counts):
    assert run_lengths.decompress(slow_text(counts), 10**6) == counts


@given(st.text(max_size=20), SMALL)
def test_any_text_is_a_mask_or_a_sentence(text, size):
    try:
        mask = run_lengths.mask(text, size)
    except InputError:
        return
    assert mask.shape == size


@pytest.mark.parametrize(
    "counts",
    [[], [5], [7], [3, -1, 4], [3, 3.0], [True, 5], None, {"a": 1}, [10**30], ["6"], "P" * 1000, "o" * 10**5, "é"],
)
def test_what_does_not_cover_the_mask_is_refused(counts):
    with pytest.raises(InputError, match="run lengths"):
        run_lengths.mask(counts, (2, 3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, with NumPy 2
def test_pycocotools_agrees():
    """The reference itself, where it is installed."""
    tools = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    mask = np.random.default_rng(0).random((40, 53)) > 0.6
    text = tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert text == slow_text(slow_counts(mask))
    np.testing.assert_array_equal(run_lengths.mask(text, mask.shape), mask)
