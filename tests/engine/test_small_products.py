"""Products that are cut into groups of columns and blocks of rows, against the whole product."""

import numpy as np
import pytest
from arrays import close
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.engine import small_products


@pytest.fixture(autouse=True)
def on_every_processor(monkeypatch):
    monkeypatch.setattr(small_products, "without_copies", lambda: True)


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 12), st.integers(1, 150), st.integers(50, 4000))
def test_equals_the_whole_product(places, rows, inner, columns, most):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(places, rows, inner)), rng.normal(size=(places, inner, columns))
    out = np.full((places, rows, columns), np.nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_products, "MOST", most)
        small_products.multiply(np, a, small_products.grouped(np, b), out)
    close(out, np.einsum("qri,qic->qrc", a, b))


@pytest.mark.parametrize(
    ("inner", "columns", "groups"), [(64, 128, 1), (64, 256, 2), (128, 256, 4), (128, 96, 2), (128, 67, 1)]
)
def test_groups(inner, columns, groups, rng):
    b = rng.normal(size=(2, inner, columns))
    sorted_ = small_products.grouped(np, b)
    assert sorted_.shape == (2, groups, inner, columns // groups)
    assert sorted_.flags.c_contiguous
    np.testing.assert_array_equal(np.concatenate(list(sorted_.swapaxes(0, 1)), axis=2), b)


@pytest.mark.parametrize("reason", ["wide", "processor"])
def test_otherwise_nothing_is_cut_or_copied(reason, rng, monkeypatch):
    inner = 130 if reason == "wide" else 8
    if reason == "processor":
        monkeypatch.setattr(small_products, "without_copies", lambda: False)
    a, b = rng.normal(size=(2, 5, inner)), rng.normal(size=(2, inner, 7))
    whole = small_products.grouped(np, b)
    assert whole.shape == (2, 1, inner, 7)
    assert whole.base is b
    out = np.empty((2, 5, 7))
    small_products.multiply(np, a, whole, out)
    np.testing.assert_array_equal(out, a @ b)
