"""Table, CSV and JSON show the same numbers."""

import csv
import json

import pytest
from compare_rows import ONE_SEED, PHOTO, ROWS

from fcn_from_scratch.lab.compare import report
from fcn_from_scratch.lab.compare.scoring import QUALITIES

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
