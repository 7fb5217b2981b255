"""Table, CSV, JSON and slide show the same numbers."""

import csv
import json

import numpy as np
import pytest

from fcn_from_scratch import viz
from fcn_from_scratch.datasets import Sample
from fcn_from_scratch.lab.compare import METHODS, Row, report
from fcn_from_scratch.lab.compare.figure import STRIPS, slide

ROWS = [
    Row("32s", 0.887, 0.68, 0.584, 0.802, 0.365, float("nan"), 5.2, 3.0, 40_310_000, 1, 32, 480, 153_702, "32s"),
    Row("stitch", 0.856, 0.8649, 0.593, 0.772, 0.4321, 0.377, 93.34, 5.7, 766_000_000, 16, 8, 480, 153_702, "32s"),
]
PHOTO = [row._replace(**dict.fromkeys(Row._fields[1:7])) for row in ROWS]


def test_the_table_shows_every_number_under_its_heading():
    first, second, one, other = report.text(ROWS).splitlines()
    assert " ".join(one.split()) == "32s, bilinear 0.887 0.680 0.584 0.802 0.365 - 5.2 3.0 40.3 M 1 32 480 153,702 32s"
    assert other.split()[:4] == ["shift-and-stitch", "0.856", "0.865", "0.593"]
    assert "766 M" in other
    assert max(map(len, (first, second, one, other))) <= 140
    for heading, number in (("border", "0.432"), ("time", "93.3"), ("memory", "5.7")):
        assert first.index(heading) + len(heading) == other.index(number) + len(number)


def test_a_photos_table_has_no_qualities():
    table = report.text(PHOTO)
    assert "IU" not in table
    assert "acc." not in table
    assert "93.3" in table


@pytest.mark.parametrize("rows", [ROWS, PHOTO])
def test_csv_and_json_hold_the_rows(rows, tmp_path):
    report.write_csv(tmp_path / "c.csv", rows)
    report.write_json(tmp_path / "c.json", rows, {"seed": 3})
    with open(tmp_path / "c.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    value = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert value["about"] == {"seed": 3}
    assert value["units"]["peak_mib"] == "MiB a picture"
    for row, line, item in zip(rows, lines, value["rows"], strict=True):
        for name, number in row._asdict().items():
            if number is None or number != number:
                assert line[name] == ""
                assert item[name] is None
            else:
                assert item[name] == number
                assert line[name] == str(number)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_slide_shows_every_method(labelled, val, tmp_path):
    image, truth, name = val[0]
    outputs = {row.method: np.full(truth.shape, number) for number, row in enumerate(ROWS)}
    sample = Sample(image, truth if labelled else None, name)
    figure = slide(ROWS if labelled else PHOTO, sample, outputs, val, "what it is")
    titles = [axis.get_title().replace("-\n", "-").replace("\n", " ") for axis in figure.axes]
    for row in ROWS:
        assert METHODS[row.method].title in titles
    assert ("truth" in titles) == labelled
    pictures = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(pictures) == (6 if labelled else 3)
    if labelled:
        assert any(np.array_equal(p, viz.error_map(truth, outputs["stitch"])) for p in pictures)
    bars = [axis.patches for axis in figure.axes if len(axis.patches) == len(ROWS)]
    assert len(bars) == len(STRIPS) - (not labelled)
    assert [patch.get_height() for patch in bars[-1]] == [row.peak_mib for row in ROWS]
    assert viz.save_figure(figure, tmp_path / "slide.png").stat().st_size > 5000


def test_bars_stand_below_their_pictures(val):
    _image, truth, _ = val[0]
    figure = slide(ROWS, val[0], {row.method: truth % 2 for row in ROWS}, val)
    middles = []
    for axis in figure.axes:
        box = axis.get_position()
        if axis.images:
            middles.append((box.x0 + box.x1) / 2)
        elif axis.patches:
            for place, middle in enumerate(sorted(set(np.round(middles, 6)))[1:]):
                at = figure.transFigure.inverted().transform(axis.transData.transform((place, 0)))[0]
                assert at == pytest.approx(middle, abs=1e-3)
