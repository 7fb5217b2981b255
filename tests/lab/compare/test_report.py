"""Table, CSV and JSON show the same numbers."""

import csv
import json

import pytest

from fcn_from_scratch.lab.compare import Row, Spread, report
from fcn_from_scratch.lab.compare.measuring import Costs
from fcn_from_scratch.lab.compare.scoring import QUALITIES

NAN = float("nan")


def row(method, mean_ius, others, gain, costs, weights):
    """A Row over three seeds. `others` are the means of the other qualities."""
    names = [name for name in QUALITIES if name != "mean_iu"]
    qualities = {name: Spread(value, 0.0, value, value) for name, value in zip(names, others, strict=True)}
    gains = {name: Spread(0.0, 0.0, 0.0, 0.0) for name in QUALITIES}
    return Row(method, {**qualities, "mean_iu": mean_ius}, {**gains, "mean_iu": gain}, costs, 480, weights)


COARSE = Costs(5.2, 5.1, 5.4, 3.0, 3.0, 3.0, 40_310_000, 1, 32, 153_702)
STITCHED = Costs(93.34, 90.0, 95.5, 5.7, 5.7, 5.8, 766_000_000, 16, 8, 153_702)
ROWS = [
    row("32s", Spread(0.584, 0.011, 0.57, 0.59), (0.887, 0.68, 0.802, 0.365, NAN), Spread(0, 0, 0, 0), COARSE, "32s"),
    row(
        "stitch",
        Spread(0.593, 0.02, 0.57, 0.61),
        (0.856, 0.8649, 0.772, 0.4321, 0.377),
        Spread(0.009, 0.0124, -0.01, 0.02),
        STITCHED,
        "32s",
    ),
]
PHOTO = [row._replace(qualities={}, gains={}) for row in ROWS]
ONE_SEED = [
    row._replace(
        qualities={name: one._replace(sd=NAN) for name, one in row.qualities.items()},
        gains={name: one._replace(sd=NAN) for name, one in row.gains.items()},
    )
    for row in ROWS
]
BY_SEED = [{name: dict.fromkeys(QUALITIES, value) for name in ("32s", "stitch")} for value in (0.25, 0.5)]


def test_the_table_shows_every_number_under_its_heading():
    first, second, one, other = report.text(ROWS).splitlines()
    assert " ".join(one.split()) == (
        "32s, bilinear 0.584 0.011 +0.000 0.000 0.887 0.680 0.802 0.365 - 5.2 3.0 40.3 M 1 32 32s"
    )
    assert other.split()[:6] == ["shift-and-stitch", "0.593", "0.020", "+0.009", "0.012", "0.856"]
    assert "766 M" in other
    assert max(map(len, (first, second, one, other))) <= 140
    for heading, number in (("border", "0.432"), ("time", "93.3"), ("memory", "5.7"), ("against", "+0.009")):
        assert first.index(heading) + len(heading) == other.index(number) + len(number)


def test_one_seed_has_no_column_for_a_spread():
    table = report.text(ONE_SEED)
    assert "s.d." not in table
    assert "+0.009" in table


def test_a_photos_table_has_no_qualities():
    table = report.text(PHOTO)
    assert "IU" not in table
    assert "acc." not in table
    assert "93.3" in table


def test_each_seed_has_a_column():
    heading, one, _ = report.seeds_text(BY_SEED, [3, 4]).splitlines()
    assert heading.split() == ["mean", "IU", "seed", "3", "seed", "4"]
    assert one.split() == ["32s,", "bilinear", "0.250", "0.500"]
    assert report.seeds_text(BY_SEED[:1], [3]) == report.seeds_text([], [0]) == ""


@pytest.mark.parametrize("rows", [ROWS, ONE_SEED, PHOTO])
def test_csv_and_json_hold_the_rows(rows, tmp_path):
    report.write_csv(tmp_path / "c.csv", rows)
    report.write_json(tmp_path / "c.json", rows, BY_SEED, [3, 4], {"seed": 3})
    with open(tmp_path / "c.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    value = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert value["about"] == {"seed": 3}
    assert value["units"]["peak_mib"].startswith("MiB a picture")
    assert [(one["seed"], one["methods"]["stitch"]["mean_iu"]) for one in value["seeds"]] == [(3, 0.25), (4, 0.5)]
    for row, line, item in zip(rows, lines, value["rows"], strict=True):
        for name, number in row.flat().items():
            if number is None or number != number:
                assert line[name] == ""
                assert item[name] is None
            else:
                assert item[name] == number
                assert line[name] == str(number)
