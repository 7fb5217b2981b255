"""Means and spreads over seeds, and differences between methods with the same seed."""

import math
import statistics

import pytest

from fcn_from_scratch.lab.compare import METHODS, summarize
from fcn_from_scratch.lab.compare.measuring import Costs
from fcn_from_scratch.lab.compare.scoring import QUALITIES
from fcn_from_scratch.lab.compare.summary import spread

COSTS = Costs(10.0, 9.8, 10.3, 3.0, 3.0, 3.1, 40_000_000, 1, 32, 150_000)
COARSE, FINE = [0.50, 0.60, 0.52], [0.70, 0.75, 0.69]  # over three seeds


def of_seed(**mean_iu):
    """The scores of one seed: keyword "s32" for the method 32s."""
    names = {"s32": "32s", "s8": "8s"}
    return {names[key]: {**dict.fromkeys(QUALITIES, 0.9), "mean_iu": value} for key, value in mean_iu.items()}


@pytest.fixture
def rows(settings):
    by_seed = [of_seed(s32=coarse, s8=fine) for coarse, fine in zip(COARSE, FINE)]
    return {row.method: row for row in summarize(METHODS, by_seed, {"32s": COSTS, "8s": COSTS}, settings)}


def test_a_spread_is_what_the_statistics_module_says():
    assert spread(COARSE) == pytest.approx((statistics.mean(COARSE), statistics.stdev(COARSE), 0.5, 0.6))


def test_one_seed_has_no_spread():
    one = spread([0.5])
    assert (one.mean, one.low, one.high) == (0.5, 0.5, 0.5)
    assert math.isnan(one.sd)


def test_no_number_in_one_seed_is_no_number():
    assert all(math.isnan(part) for part in spread([0.5, float("nan")]))


def test_a_difference_is_taken_within_each_seed(rows):
    gain = rows["8s"].gains["mean_iu"]
    differences = [fine - coarse for fine, coarse in zip(FINE, COARSE)]
    assert gain == pytest.approx((statistics.mean(differences), statistics.stdev(differences), 0.15, 0.2))
    assert gain.sd < rows["32s"].qualities["mean_iu"].sd  # what both have in common is not in the difference
    assert rows["32s"].gains["mean_iu"] == (0, 0, 0, 0)


def test_without_32s_there_are_no_differences(settings):
    (row,) = summarize(METHODS, [of_seed(s8=0.7), of_seed(s8=0.8)], {"8s": COSTS}, settings)
    assert row.gains == {}
    assert row.qualities["mean_iu"].mean == pytest.approx(0.75)


def test_a_flat_row_has_every_number_once(rows, settings):
    flat = rows["8s"].flat()
    assert flat["mean_iu"] == pytest.approx(statistics.mean(FINE))
    assert flat["mean_iu_gain_low"] == pytest.approx(0.15)
    assert flat["small_recall_sd"] == pytest.approx(0)
    assert (flat["milliseconds"], flat["milliseconds_high"], flat["peak_mib_low"]) == (10.0, 10.3, 3.0)
    assert (flat["method"], flat["steps"], flat["weights"]) == ("8s", settings.steps, "8s")
    assert len(flat) == 1 + 2 * 4 * len(QUALITIES) + len(COSTS) + 2


def test_a_photo_has_costs_only(settings):
    (row,) = summarize(METHODS, [], {"8s": COSTS}, settings)
    flat = row.flat()
    assert all(flat[name] is None for name in QUALITIES)
    assert flat["milliseconds"] == 10.0
