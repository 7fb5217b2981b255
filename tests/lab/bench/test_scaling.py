"""`fcn bench --scale`: every point once, exponents of known curves, and a peak that is each point's own."""

import csv
import json

import numpy as np
import pytest

from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench import LESSON, Settings, Work, measure_scale, scaling, scaling_chart, scaling_report
from fcn_from_scratch.lab.bench.scaling import Fit, Plan, ScaleResult, ScaleRow, chosen, fits, need, power
from fcn_from_scratch.viz import save_figure

TINY = ("--model", "mini_fcn8s", "--width", "4", "--repeats", "1")
WORK = Work(LESSON, (16, 24))
ALONE = Settings((), "cpu", 1, repeats=1, progress=False)


def row(rival, side=16, batch=1, threads=1, seconds=1.0, **more):
    return ScaleRow((side, side), batch, threads, rival, seconds, seconds, seconds, **more)


def test_every_point_once():
    points = Plan(WORK, ((16, 24), (32, 32)), (1, 2), (1, 4)).points()
    assert [(work.size, work.batch, threads) for work, threads in points] == [
        *[((16, 24), 1, 4), ((32, 32), 1, 4), ((16, 24), 2, 4)],
        *[((16, 24), 1, 1), ((32, 32), 1, 1), ((16, 24), 2, 1)],
    ]


def test_the_exponent_of_a_power():
    x = np.array([10, 20, 40, 80, 200])
    exponent, _, points, off = power(x, 3 * x**1.5)
    assert (exponent, off) == pytest.approx((1.5, 1))
    assert points == 5
    assert power(x, 7 + 2 * x)[1] == pytest.approx(2)
    assert power([1, 2, 4], [1, 2 * 1.1, 4])[3] == pytest.approx(1.1 ** (2 / 3))  # 2/3 of the logarithm stays


def test_fits_are_those_of_one_rival_with_one_number_of_threads():
    rows = [
        *(row("fcn", side, seconds=side**2, peak_bytes=100 + 2 * side**2) for side in (4, 8, 16)),
        *(row("fcn", 8, batch, seconds=batch**0.5) for batch in (2, 4)),
        *(row("fcn", side, threads=2, seconds=side**3) for side in (4, 8)),
        row("openvino", 4),
        ScaleRow((8, 8), 1, 1, "openvino", why="does not fit"),
    ]
    found = {(fit.rival, fit.threads, fit.over, fit.what): fit for fit in fits(rows, (8, 8))}
    assert set(found) == {
        *[("fcn", 1, "pixels", "seconds"), ("fcn", 1, "pixels", "peak_bytes"), ("fcn", 1, "batch", "seconds")],
        ("fcn", 2, "pixels", "seconds"),
    }
    assert found["fcn", 1, "pixels", "seconds"].exponent == pytest.approx(1)
    assert found["fcn", 2, "pixels", "seconds"].exponent == pytest.approx(1.5)
    assert found["fcn", 1, "pixels", "peak_bytes"].each == pytest.approx(2)
    assert found["fcn", 1, "batch", "seconds"].points == 3


def test_who_goes_on():
    """Ours, the fastest peer, and PyTorch in its faster order; without a peer all of ours."""
    settings = Settings(("torch", "onnxruntime", "openvino"), "cpu", 1)
    times = {"fcn": 3, "torch": 6, "torch_cl": 5, "onnxruntime": 2, "openvino": 4}
    rows = [row(name, seconds=seconds) for name, seconds in times.items()]
    assert chosen(rows, settings) == ("fcn", "torch_cl", "onnxruntime")
    failed = rows[3]._replace(seconds=None, why="it cannot")
    assert chosen([*rows[:3], failed, rows[4]], settings) == ("fcn", "torch_cl", "openvino")
    assert chosen([row("fcn"), row("im2col")], ALONE) == ("fcn", "im2col")


def test_what_does_not_fit_is_not_started(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: need(WORK) - 1)
    monkeypatch.setattr(scaling, "start", lambda *_: pytest.fail("it was started"))
    result = measure_scale(Plan(WORK, (), (1,), (1,)), ALONE)
    assert [row.rival for row in result.rows] == ["fcn", "im2col"]
    assert all(row.why.startswith("does not fit: it takes about ") for row in result.rows)
    assert all(row.seconds is None for row in result.rows)
    assert result.fits == []


@pytest.mark.parametrize(("room", "groups"), [(2, [("fcn", "im2col")]), (1, [("fcn",), ("im2col",)])])
def test_rivals_run_side_by_side_only_if_all_fit(monkeypatch, room, groups):
    seen = []
    monkeypatch.setattr(memory, "available", lambda: room * need(WORK))
    monkeypatch.setattr(scaling, "_turns", lambda names, *_: seen.append(names) or [row(name) for name in names])
    measure_scale(Plan(WORK, (), (1,), (1,)), ALONE)
    assert seen == groups


def test_memory_that_runs_out_is_a_row(monkeypatch):
    """Also for a rival of ours; the others get a turn without it."""

    def turns(names, *_):
        if "fcn" in names:
            raise MemoryError("the process of fcn_from_scratch ended")
        return [row(name) for name in names]

    monkeypatch.setattr(scaling, "_turns", turns)
    ours, other = measure_scale(Plan(WORK, (), (1,), (1,)), ALONE).rows
    assert (ours.seconds, ours.why) == (None, "does not fit: the process of fcn_from_scratch ended")
    assert (other.seconds, other.ratio) == (1.0, None)


@pytest.mark.skipif(memory.peak() is None, reason="this system does not tell")
def test_the_peak_is_that_of_the_point(hurried):
    """The small pictures come after the large ones: their maps of 16 x 1000 x 1000 numbers take 61 MiB each."""
    large, small = Work(LESSON, (1000, 1000)), (16, 24)
    rows = measure_scale(Plan(large, (small,), (1,), (1,)), ALONE).rows
    peaks = {(row.size, row.rival): row.peak_bytes for row in rows}
    for rival in ("fcn", "im2col"):
        assert peaks[large.size, rival] > peaks[small, rival] + (12 << 20)


@pytest.mark.slow
def test_from_the_command_line(fcn, hurried, tmp_path):
    words = "--peer", "none", "--sizes", "32,48x40", "--batches", "1,2", "--threads", 2
    status, out, _ = fcn(*TINY, "--scale", *words, "--out", tmp_path / "s")
    assert status == 0
    with open(tmp_path / "s" / "scale.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    places = [(row["height"], row["width"], row["batch"], row["threads"]) for row in rows]
    assert [place for place in places if places.count(place) != 2] == []
    assert set(places) == {
        (*size, batch, threads)
        for size, batch in ((("32", "32"), "1"), (("48", "40"), "1"), (("32", "32"), "2"))
        for threads in "12"
    }
    for one in rows:
        ours = next(row for row, place in zip(rows, places) if place == places[rows.index(one)])
        assert float(one["ratio"]) == pytest.approx(float(one["seconds"]) / float(ours["seconds"]))
        assert int(one["peak_bytes"]) > 10 << 20
    assert sum(line.startswith(("32x32 ", "48x40 ")) for line in out.splitlines()) == len(rows)
    value = json.loads((tmp_path / "s" / "scale.json").read_text(encoding="utf-8"))
    assert [fit["over"] for fit in value["fits"][:4]] == ["pixels", "pixels", "batch", "batch"]
    assert len(value["fits"]) == 2 * 2 * 4
    assert value["about"]["arguments"]["sizes"] == [[32, 32], [48, 40]]
    assert (tmp_path / "s" / "scale.png").stat().st_size > 10_000


def test_a_training_step(fcn, hurried, monkeypatch):
    """Peers that cannot train are named; the others go on."""
    from fcn_from_scratch.lab.bench import peers

    monkeypatch.setattr(peers, "installed", lambda name: name == "openvino")
    status, out, _ = fcn(*TINY, "--scale", "--train", "--sizes", "32", "--batches", "1", "--threads", 1)
    assert status == 0
    assert "mini_fcn8s, width 4: training step, over size, batch and threads" in out
    assert "OpenVINO: cannot run: it has no training step" in out


def test_points_that_were_measured_are_kept(fcn, hurried, monkeypatch, tmp_path):
    """Also if the next one fails."""
    point = scaling._point

    def fails(names, work, *rest):
        if work.batch == 2:
            raise OSError("the machine goes down")
        return point(names, work, *rest)

    monkeypatch.setattr(scaling, "_point", fails)
    words = "--peer", "none", "--sizes", "32", "--batches", "2", "--threads", 1, "--out", tmp_path / "s"
    assert fcn(*TINY, "--scale", *words)[0] == 1
    with open(tmp_path / "s" / "scale.csv", encoding="utf-8", newline="") as file:
        assert [(row["height"], row["rival"]) for row in csv.DictReader(file)] == [("32", "fcn"), ("32", "im2col")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--sizes", "32"), "--sizes is for --scale"),
        (("--batches", "2"), "--batches is for --scale"),
        (("--scale", "--layers"), "--layers does not go with --scale"),
        (("--scale", "--batch", "2"), "--batch does not go with --scale"),
        (("--scale", "--zero-frame"), "--zero-frame does not go with --scale"),
        (("--scale", "--small"), "--small does not go with --scale"),
        (("--scale", "--device", "cuda"), "--scale is for --device cpu"),
        (("--scale", "--sizes", "32,many"), "invalid list of sizes value: '32,many'"),
        (("--scale", "--batches", "1,0"), "invalid list of positives value"),
        (("--scale", "--model", "fcn_alexnet", "--sizes", "0x3"), "invalid list of sizes value"),
    ],
)
def test_mistakes(fcn, words, says):
    status, out, err = fcn(*words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert says in err


def test_lines_and_figure(tmp_path):
    rows = [
        row("fcn", 500, seconds=1.2, ratio=1.0, peak_bytes=1 << 30),
        row("openvino", 500, seconds=1.8, ratio=1.5, peak_bytes=3 << 29),
        row("fcn", 1000, seconds=4.8, ratio=1.0, peak_bytes=2 << 30),
        ScaleRow((1000, 1000), 1, 1, "openvino", why="does not fit: it takes about 2 GiB, and 1 GiB are free"),
    ]
    line = " ".join(scaling_report.line(rows[1]).split())
    assert line == "500x500 1 1 OpenVINO 1.8 s 1.8 s .. 1.8 s 1.50 1.5 GiB"
    assert scaling_report.line(rows[3]).split("  ")[-1] == rows[3].why
    found = [
        Fit("fcn", 1, "pixels", "seconds", 1.0, 4.8e-6, 2, 1.0),
        Fit("fcn", 1, "pixels", "peak_bytes", 0.5, 1434, 2, 1.01),
    ]
    result = ScaleResult(Plan(WORK._replace(size=(500, 500)), (), (1,), (1,)), rows, found, (), {})
    words = scaling_report.fitted(result).splitlines()[1].split()
    assert words == ["fcn_from_scratch", "1", "pixels", "1.00", "1.00", "4800", "ns", "0.50", "1.01", "1.40", "KiB"]
    figure = scaling_chart.chart(result, "a machine")
    times, peaks, *_ = figure.axes
    curves = [list(line.get_xydata().ravel()) for line in times.lines]
    assert curves == [[250_000, 1.2, 1_000_000, 4.8], [250_000, 1.8]]
    assert [list(line.get_ydata()) for line in peaks.lines] == [[1.0, 2.0], [1.5]]
    assert times.get_xscale() == times.get_yscale() == "log"
    save_figure(figure, tmp_path / "scale.png")
