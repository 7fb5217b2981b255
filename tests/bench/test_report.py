"""Table, CSV, JSON and chart say the same, and the ratio is that of the medians."""

import csv
import json

import numpy as np
import pytest

from fcn_from_scratch import viz
from fcn_from_scratch.bench import report
from fcn_from_scratch.bench.chart import chart
from fcn_from_scratch.bench.measuring import compared, deviation


def test_ratios_are_those_of_the_medians(result):
    medians = {name: np.median(seconds) for name, seconds in result.samples.items()}
    for row in compared("whole", result.samples, flops=6e9):
        assert row.seconds == medians[row.rival]
        assert row.ratio == pytest.approx(medians[row.rival] / medians["fcn"])
        assert row.gflops == pytest.approx(6 / medians[row.rival])
        assert row.low <= row.seconds <= row.high


def test_the_table(result):
    lines = report.text(result).splitlines()
    assert "threads: 2, rounds: 5" in lines[0]
    assert "100 GFLOP/s" in lines[1]
    ours, nchw, channels_last = (" ".join(line.split()) for line in lines[4:7])
    assert ours == "fcn_from_scratch 30 ms 20 ms .. 40 ms 1.00 110 110% 64 MiB 1.0e-05 100.000%"
    assert nchw == "PyTorch NCHW 110 ms 100 ms .. 120 ms 3.67 30 30% 128 MiB 1.0e-06 99.990%"
    assert channels_last == "PyTorch channels_last 60 ms 60 ms .. 60 ms 2.00 55 55% 192 MiB 1.0e-07 99.980%"
    forward = next(line for line in lines if line.startswith("conv1 ") and "forward" in line)
    assert forward.split() == ["conv1", "forward", "3.00", "11.00", "6.00", "100", "3.67", "2.00"]
    assert any(line.startswith("conv2, conv3  input grad") for line in lines)
    assert max(map(len, lines)) <= 160


def test_csv_and_json_hold_every_row(result, tmp_path):
    report.write_csv(tmp_path / "b.csv", [result, result])
    report.write_json(tmp_path / "b.json", [result, result], {"arguments": {"seed": 3}})
    with open(tmp_path / "b.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    value = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert value["about"]["arguments"] == {"seed": 3}
    assert value["about"]["machine"]["numpy"] == np.__version__
    assert len(lines) == 2 * len(result.rows)
    for one in value["results"]:
        assert one["samples"] == result.samples
        assert one["ceiling_gflops"] == 100.0
        assert one["work"]["size"] == [16, 24]
        for row, line, item in zip(result.rows, lines, one["rows"], strict=False):
            assert line["work"] == one["title"]
            for name, number in row._asdict().items():
                assert item[name] == number
                assert line[name] == ("" if number is None else str(number))


def test_the_chart_has_a_bar_for_every_number(result, tmp_path):
    figure = chart([result, result], "a machine")
    whole, _, *layers = figure.axes
    assert sorted(bar.get_width() for bar in whole.patches) == [0.03, 0.06, 0.11]
    assert [axis.get_title(loc="left").split(",")[0] for axis in layers[:3]] == [
        "forward",
        "gradient by the input",
        "gradient by the weight",
    ]
    expected = sorted(row.gflops for row in result.rows if row.part == "conv1 forward")
    assert sorted(bar.get_height() for bar in layers[0].patches) == expected
    assert [label.get_text() for label in layers[0].get_xticklabels()] == ["conv1", "conv2\nconv3"]
    assert viz.save_figure(figure, tmp_path / "b.png").stat().st_size > 10_000


def test_deviation():
    truth = np.zeros((1, 2, 2, 2))
    truth[0, 1] = [[4.0, -1.0], [0.5, 2.0]]
    scores = truth.astype("float32")
    assert deviation(scores, truth) == (0.0, 1.0)
    scores[0, 1, 1, 0] = -0.5  # its class is 0 now
    assert deviation(scores, truth) == (0.25, 0.75)


@pytest.mark.parametrize(
    ("load", "threads", "told"), [(0.2, 0, False), (1.5, 0, True), (2.4, 2, False), (3.1, 2, True), (None, 0, False)]
)
def test_foreign_load_is_told(load, threads, told):
    sentence = report.disturbance(load, threads)
    assert (sentence is not None) == told
    assert not told or f"{load}" in sentence


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0123, "12.3 ms"), (0.9999, "1 s"), (0.98, "980 ms"), (2.345, "2.35 s")]
)
def test_duration(seconds, words):
    assert report.duration(seconds) == words
